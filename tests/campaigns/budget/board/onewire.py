"""A wire with nothing but a sensor on it. A C module and a frozen one on a board: not in the heap that is counted."""


class OneWireError(Exception):
    pass


class OneWire:
    def __init__(self, pin):
        pass

    def reset(self, required=False):
        return True

    def readbit(self):
        return 1
