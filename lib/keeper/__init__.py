"""Activation and updates for any MicroPython product; knows no thermometer and imports nothing until asked.

What lies directly in this folder is always in memory, like `talking` and the wire of the service in use. Every other
folder is a phase of a board's life, see `phases`.
"""
