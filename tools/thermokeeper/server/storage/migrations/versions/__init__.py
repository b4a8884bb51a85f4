"""One file for each schema there was; see the package above."""
