"""Whether the board is on a network; where it isn't, the phase `joining` chooses one and goes from memory once it is.

It is given the station object (`network.WLAN`); it must not know networks or keys.
"""

from keeper.console import say
from keeper.errors import KeeperError
from keeper.phases import forget


class Link:
    """pulse: called around whatever blocks. ssid: the network that the board is on, or None."""

    def __init__(self, wlan, pulse):
        self.wlan = wlan
        self.ssid = None
        self._pulse = pulse
        self._joining = None

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
        self._joining = None
        forget("thermometer.joining", "keeper.nvs")
        return True

    def use(self, networks):
        """Take another list of networks; a connection that is up stays."""
        if self._joining is not None:
            self._joining.use(networks)

    def _begin(self):
        from thermometer import joining

        try:
            networks = joining.load()
        except KeeperError as error:
            say("wifi", str(error))
            networks = []
        self._joining = joining.Wifi(self.wlan, networks, self._pulse, say)
        forget("keeper.nvs")
