"""Keeps the board on one of the Wi-Fi networks that it knows, the strongest first.

It is given the station object (`network.WLAN`) and the stored networks; it must not know where they are stored nor
who needs the network. Keys are handed to the driver and go nowhere else.

The driver's status() keeps the reason of the last failure until there is an address, `connect` doesn't clear it: what
it says after `connect` counts only once it has said something else.

`poll` never waits, with one exception: the driver's scan blocks for about 2 s on an ESP32, and nothing can run
meanwhile. It is done only while not connected, once in each round; rounds have growing pauses between them.
"""

import time

from keeper import uptime
from keeper.backoff import Backoff
from thermometer.joining.candidates import choose, usable

JOIN_LIMIT_MS = 15000

_PAUSE_BASE_MS = 2000
_PAUSE_CAP_MS = 60000
_SLICE_MS = 50
_DEAF_ROUNDS = 3  # a radio that hears nothing at all for so many scans is switched off and on; then twice as many
_DEAF_CAP = 48
_RECONNECTS = 1  # the first association after power-on often fails for no reason; with -1 there'd be no reasons at all

# values of wlan.status() on the ESP32: its own from 1000 on, ESP-IDF's wifi_err_reason_t below
_IDLE = 1000
_WRONG_KEY = (15, 202, 204)  # 4-way handshake timeout, authentication failed, handshake timeout
_NOT_FOUND = (200, 201, 212)  # beacon timeout, no such network, signal too weak
_OTHER_SECURITY = (210, 211)
_NO_ADDRESS = "0.0.0.0"


class Wifi:
    """`networks` is a list of {"ssid": text, "key": text, None or ""}; `pulse()` is called around whatever blocks,
    `say(topic, text)` once for each change of state. `last`: the name of a network that led nowhere."""

    def __init__(self, wlan, networks, pulse, say, now=uptime.ms, sleep_ms=time.sleep_ms, last=None):
        self.ssid = None  # the network that we are on
        self._wlan = wlan
        self._pulse = pulse
        self._say = say
        self._now = now
        self._sleep_ms = sleep_ms
        self._backoff = Backoff(_PAUSE_BASE_MS, _PAUSE_CAP_MS)
        self._said = None
        self._last = last
        self._leaving = last is not None  # until the driver was told, it may say that we are on that one still
        self._deaf = 0
        self._deaf_limit = _DEAF_ROUNDS
        self._stale = None
        self.use(networks)

    def use(self, networks):
        """Take another list of networks and begin anew at the next poll; a connection that is up stays."""
        self._networks = [network for network in networks if usable(network)]
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
            if not self._networks or self._now() - start_ms >= timeout_ms:
                return False
            self._pulse()
            self._sleep_ms(_SLICE_MS)
        return True

    def poll(self):
        """Do the next step towards a connection, if one is due; whether it is connected."""
        if not self._leaving and self._wlan.isconnected() and self._wlan.ifconfig()[0] != _NO_ADDRESS:
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
        elif self._now() >= self._next_ms:
            self._begin_round()
        return False

    def _up(self):
        # a soft reset leaves the driver connected
        self.ssid = self._trying["ssid"] if self._trying else "a network"
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
        self._leaving = False
        try:
            if self._deaf >= self._deaf_limit:
                self._deaf = 0
                self._deaf_limit = min(2 * self._deaf_limit, _DEAF_CAP)
                self._say("wifi", "the radio hears nothing: switched off and on")
                self._wlan.active(False)
            if not self._wlan.active():
                self._wlan.active(True)
            self._wlan.config(reconnects=_RECONNECTS)
            self._wlan.disconnect()  # the driver doesn't scan while it tries to connect
            self._pulse()
            seen = self._wlan.scan()
            self._pulse()
        except (OSError, RuntimeError) as error:
            self._deaf += 1
            self._failed.append("the driver refuses: %s" % error)
            self._end_round()
            return
        self._deaf = 0 if seen else self._deaf + 1  # a driver that refuses gives an empty list as well
        self._waiting, self._failed = choose(self._networks, seen, self._last)
        if not self._waiting:
            self._end_round()

    def _try(self, candidate):
        network, bssid = candidate
        self._trying = network
        self._until_ms = self._now() + JOIN_LIMIT_MS
        self._stale = self._wlan.status()
        words = (network["ssid"], network["key"]) if network.get("key") else (network["ssid"],)
        try:
            if bssid:
                self._wlan.connect(*words, bssid=bssid)
            else:
                self._wlan.connect(*words)
        except (OSError, RuntimeError) as error:
            self._give_up("the driver refuses: %s" % error)

    def _watch(self):
        status = self._wlan.status()
        late = self._now() >= self._until_ms
        if status != self._stale:
            self._stale = None
        if late or self._stale is None:
            why = _reason(status)
            if why or late:
                self._give_up(why or "no answer in %d s" % (JOIN_LIMIT_MS // 1000))

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
        self._next_ms = self._now() + self._backoff.next_ms()
        self._say_once("no network: " + "; ".join(self._failed))

    def _say_once(self, text):
        if text != self._said:
            self._said = text
            self._say("wifi", text)


def _reason(status):
    """What a status says went wrong; None while nothing has."""
    if status in _WRONG_KEY:
        return "wrong key"
    if status in _NOT_FOUND:
        return "not found"
    if status in _OTHER_SECURITY:
        return "another kind of security than stored"
    return "refused, reason %d" % status if 0 < status < _IDLE else None
