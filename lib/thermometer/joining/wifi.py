"""Keeps the board on one of the Wi-Fi networks that it knows, the strongest first.

It is given the station object (`network.WLAN`) and the stored networks; it must not know where they are stored nor
who needs the network. Keys are handed to the driver and go nowhere else.

`poll` never waits, with one exception: the driver's scan blocks for about 2 s on an ESP32, and nothing can run
meanwhile. It is done only while not connected, once in each round; rounds have growing pauses between them.
"""

import time

from keeper.backoff import Backoff

JOIN_LIMIT_MS = 15000

_PAUSE_BASE_MS = 2000
_PAUSE_CAP_MS = 60000
_SLICE_MS = 50
_RECONNECTS = 1  # the first association after power-on often fails for no reason; with -1 there'd be no reasons at all

# values of wlan.status() on the ESP32: its own from 1000 on, ESP-IDF's wifi_err_reason_t below
_CONNECTING = 1001
_IDLE = 1000
_WRONG_KEY = (15, 202, 204)  # 4-way handshake timeout, authentication failed, handshake timeout
_NOT_FOUND = (200, 201, 212)  # beacon timeout, no such network, signal too weak
_OTHER_SECURITY = (210, 211)

_OPEN = 0  # authmode in a scan


class Wifi:
    """`networks` is a list of {"ssid": text, "key": text, None or ""}; `pulse()` is called around whatever blocks,
    `say(topic, text)` once for each change of state."""

    def __init__(self, wlan, networks, pulse, say, now=time.ticks_ms, sleep_ms=time.sleep_ms):
        self.ssid = None  # the network that we are on
        self._wlan = wlan
        self._pulse = pulse
        self._say = say
        self._now = now
        self._sleep_ms = sleep_ms
        self._backoff = Backoff(_PAUSE_BASE_MS, _PAUSE_CAP_MS)
        self._said = None
        self.use(networks)

    def use(self, networks):
        """Take another list of networks and begin anew at the next poll; a connection that is up stays."""
        self._networks = [network for network in networks if _usable(network)]
        self._waiting = []  # to be tried in this round
        self._trying = None
        self._failed = []  # "ssid: reason" of this round
        self._next_ms = self._now()
        self._until_ms = self._next_ms
        self._backoff.reset()

    def ensure(self, timeout_ms):
        """Poll until connected, for `timeout_ms` at most; whether it is connected."""
        start_ms = self._now()
        while not self.poll():
            if not self._networks or time.ticks_diff(self._now(), start_ms) >= timeout_ms:
                return False
            self._pulse()
            self._sleep_ms(_SLICE_MS)
        return True

    def poll(self):
        """Do the next step towards a connection, if one is due; whether it is connected."""
        if self._wlan.isconnected():
            if self.ssid is None:
                self._up()
            return True
        if self.ssid is not None:
            self._lost()
        if not self._networks:
            self._say_once("no usable network is stored")
        elif self._trying is not None:
            self._watch()
        elif self._waiting:
            self._try(self._waiting.pop(0))
        elif time.ticks_diff(self._now(), self._next_ms) >= 0:
            self._begin_round()
        return False

    def _up(self):
        self.ssid = self._trying["ssid"] if self._trying else "a network"  # a soft reset leaves the driver connected
        self._trying = None
        self._waiting = []
        self._backoff.reset()
        self._said = None
        self._say("wifi", "on %s as %s" % (self.ssid, self._wlan.ifconfig()[0]))

    def _lost(self):
        self._say("wifi", "lost " + self.ssid)
        self.ssid = None
        self._next_ms = self._now()

    def _begin_round(self):
        self._failed = []
        try:
            if not self._wlan.active():
                self._wlan.active(True)
            self._wlan.config(reconnects=_RECONNECTS)
            self._wlan.disconnect()  # the driver doesn't scan while it tries to connect
            self._pulse()
            seen = self._wlan.scan()
            self._pulse()
        except (OSError, RuntimeError) as error:
            self._failed.append("the driver refuses: %s" % error)
            self._end_round()
            return
        self._waiting = self._choose(seen)
        if not self._waiting:
            self._end_round()

    def _choose(self, seen):
        """Known networks in the order in which to try them; one `ssid` may be many access points, or hidden."""
        found = []
        hidden = []
        someone_hides = False
        for network in self._networks:
            name = network["ssid"].encode()
            best = None
            misfit = None
            for entry in seen:
                if not entry[0].strip(b"\0"):
                    someone_hides = True
                elif entry[0] == name:
                    # A known name without its key is perhaps somebody else's trap: never join it open.
                    if bool(network.get("key")) != (entry[4] != _OPEN):
                        misfit = "asks for no key, but one is stored" if network.get("key") else "asks for a key"
                    elif best is None or entry[3] > best:
                        best = entry[3]
            if best is not None:
                found.append((best, network))
            elif misfit:
                self._failed.append(network["ssid"] + ": " + misfit)
            else:
                hidden.append(network)
        found.sort(key=lambda pair: -pair[0])
        if not someone_hides:
            self._failed.extend([network["ssid"] + ": not found" for network in hidden])
            hidden = []
        return [network for _, network in found] + hidden

    def _try(self, network):
        self._trying = network
        self._until_ms = time.ticks_add(self._now(), JOIN_LIMIT_MS)
        try:
            if network.get("key"):
                self._wlan.connect(network["ssid"], network["key"])
            else:
                self._wlan.connect(network["ssid"])
        except (OSError, RuntimeError) as error:
            self._give_up("the driver refuses: %s" % error)

    def _watch(self):
        status = self._wlan.status()
        if status not in (_CONNECTING, _IDLE):
            if status in _WRONG_KEY:
                self._give_up("wrong key")
            elif status in _NOT_FOUND:
                self._give_up("not found")
            elif status in _OTHER_SECURITY:
                self._give_up("another kind of security than stored")
            elif status < _IDLE:
                self._give_up("refused, reason %d" % status)
        if self._trying is not None and time.ticks_diff(self._now(), self._until_ms) >= 0:
            self._give_up("no answer in %d s" % (JOIN_LIMIT_MS // 1000))

    def _give_up(self, reason):
        self._failed.append(self._trying["ssid"] + ": " + reason)
        self._trying = None
        try:
            self._wlan.disconnect()
        except (OSError, RuntimeError):
            pass  # it wasn't connected: that is what we want
        if not self._waiting:
            self._end_round()

    def _end_round(self):
        self._next_ms = time.ticks_add(self._now(), self._backoff.next_ms())
        self._say_once("no network: " + "; ".join(self._failed))

    def _say_once(self, text):
        if text != self._said:
            self._said = text
            self._say("wifi", text)


def _usable(network):
    """Whether a stored entry has the form that this release reads; an older or a newer one may have left another."""
    if not isinstance(network, dict) or not isinstance(network.get("ssid"), str) or not network["ssid"]:
        return False
    return network.get("key") is None or isinstance(network["key"], str)
