"""Activation and updates for any MicroPython product; knows no thermometer and imports nothing until asked."""
