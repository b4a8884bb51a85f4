"""The product: a thermometer that measures, keeps its readings until they are delivered, and uses keeper for the rest.

Importing this package does nothing; `thermometer.app` is where a boot begins.
"""
