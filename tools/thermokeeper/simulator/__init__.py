"""The simulated board: one flash file, a world around it, and the device's own code on MicroPython or CPython."""
