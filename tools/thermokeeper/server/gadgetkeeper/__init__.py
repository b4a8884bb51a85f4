"""GadgetKeeper's calls, of devices with a key."""
