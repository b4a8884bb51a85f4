"""Named records in NVS: what outlives a reset. A phase: loaded with each of the others that stores or recalls."""
