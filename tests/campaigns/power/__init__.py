"""The power-cut campaign: a board's whole life, cut at each of its flash operations. `make power` prints its table."""
