"""What the board has in flash: its records in NVS, its two slots, the image in one, what it remembers of releases.

A phase: loaded with each of the others that writes or asks for any of it.
"""
