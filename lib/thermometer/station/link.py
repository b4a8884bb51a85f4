"""Whether the board is on a network; where it isn't, the phase `joining` chooses one and goes from memory once it is.

It is given the station object (`network.WLAN`); it must not know networks or keys.
"""

from keeper.console import say
from keeper.errors import KeeperError
from keeper.phases import forget


class Link:
    """pulse: called around whatever blocks. ssid: the network that the board is on, or None; gateway: its router."""

    def __init__(self, wlan, pulse):
        self.wlan = wlan
        self.ssid = None
        self.gateway = None
        self._pulse = pulse
        self._joining = None
        self._last = None  # the name of a network that led nowhere

    def poll(self):
        """Do the next step towards a connection, if one is due; whether it is connected."""
        if self.ssid is not None:
            if self.wlan.isconnected():
                return True
            say("wifi", "lost " + self.ssid)
            self.ssid = None
        if self._joining is None:
            self._begin()
        if not self._joining.poll():
            return False
        self.ssid = self._joining.ssid
        self.gateway = self.wlan.ifconfig()[2]
        self._joining = self._last = None
        forget("thermometer.joining", "keeper.nvs")
        return True

    def use(self, networks):
        """Take another list of networks; a connection that is up stays."""
        if self._joining is not None:
            self._joining.use(networks)

    def leave(self):
        """Forget the network that the board is on: others are tried first. What the driver is told is the caller's."""
        self._last, self.ssid = self.ssid, None

    def _begin(self):
        from thermometer import joining

        try:
            networks = joining.load()
        except KeeperError as error:
            say("wifi", str(error))
            networks = []
        self._joining = joining.Wifi(self.wlan, networks, self._pulse, say, last=self._last)
        forget("keeper.nvs", "keeper.keeping")
