"""The two slots, the image in one, how a release lies in it. A phase: loaded with each of the others that asks."""
