"""What begins before the application is loaded, because it takes its time or has to be first. main.py calls it.

A conversion of the sensor runs by itself meanwhile. The radio takes 36 KB of memory in large pieces: Python's heap
would have them otherwise, and never give them back. It must not know how either is wired.
"""

from thermometer.wiring.pins import begin


def wake():
    """Do that; anything that fails is a start that failed, except a sensor that isn't there."""
    import network

    begin()
    network.WLAN(network.STA_IF).active(True)
    from keeper.phases import forget
    from keeper.waking import part_memory

    part_memory()
    forget("keeper.waking")
