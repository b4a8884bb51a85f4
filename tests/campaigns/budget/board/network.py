"""A station that is on its network."""

STA_IF = 0


class WLAN:
    def __init__(self, interface):
        pass

    def active(self, on=None):
        return True

    def isconnected(self):
        return True
