"""`network` of the simulated board: one station, the access points of the world around it."""

import binascii

import _sim
import _simmemory

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
_BEFORE_ALL_ELSE = (201, 202, 205, 210, 211, 212)
AUTH_OPEN = 0
AUTH_WEP = 1
AUTH_WPA_PSK = 2
AUTH_WPA2_PSK = 3
AUTH_WPA_WPA2_PSK = 4

_hostname = "mpy-esp32"
_country = "XX"


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    if len(name) > 32:
        raise ValueError
    _hostname = name


def country(code=None):
    global _country
    if code is None:
        return _country
    _country = code


def phy_mode(mode=None):
    return 7


def _networks():
    return [network for network in _sim.board().world.get("networks") or () if network.get("up", True)]


def linked():
    """Whether packets get through; for the simulated sockets."""
    return _look(_station) == STAT_GOT_IP and not (_network(_station) or {}).get("no_address")


class WLAN:
    """Station interface. The driver goes on trying to connect by itself until `disconnect`, as the board's does."""

    IF_STA = STA_IF
    IF_AP = AP_IF

    def __init__(self, interface=STA_IF):
        memory = _sim.board().memory
        if not memory.once("network", _simmemory.NETWORK) or not memory.once("wlan", _simmemory.WLAN):
            raise RuntimeError("Wifi Unknown Error 0x0101")  # no memory
        # However many objects there are, the chip has one station.
        self._it = _station if interface == STA_IF else _Interface()

    # As network_wlan.c has it (the same in v1.25 to v1.29): the reason of the last failure stays until there is an
    # address, and `connect` doesn't clear it; some reasons are told before "connecting".

    def active(self, state=None):
        board = _sim.board()
        board.alive()
        if state is not None:
            if state:
                _start_radio(board)
            else:
                board.memory.back("active")
                self._it.wanted = self._it.joined = None
            self._it.active = bool(state)
        return self._it.active

    def scan(self):
        """[(ssid, bssid, channel, RSSI in dBm, security, hidden)], strongest first."""
        board = _sim.board()
        if not self._it.active:
            raise OSError("WiFi Not Started")
        board.wait_ms(board.world.get("scan_ms", 20))
        if self._it.wanted and not self._it.joined:
            return []  # the driver doesn't scan while it tries to connect, and that is all that it says
        found = [
            (
                b"" if network.get("hidden") else network["ssid"].encode(),
                _bssid(network),
                network.get("channel", 6),
                network.get("rssi", -60),
                _security(network),
                bool(network.get("hidden")),
            )
            for network in _networks()
        ]
        found.sort(key=lambda row: -row[3])
        return found

    def connect(self, ssid=None, key=None, *, bssid=None):
        """Begin to connect; `isconnected` and `status` tell what came of it."""
        board = _sim.board()
        board.alive()
        if not self._it.active:
            raise OSError("WiFi Not Started")
        if not board.memory.once("joined", _simmemory.JOINED):
            board.end("panic: no memory to join a network")
        if ssid is not None:
            if isinstance(ssid, bytes):
                ssid = ssid.decode()
            if not 0 < len(ssid.encode()) <= 32:
                raise ValueError("invalid ssid")
            self._it.wanted = (ssid, key or "", bssid and bytes(bssid))
        if self._it.wanted is None:
            raise OSError("Wifi SSID Invalid")
        self._it.joined = None
        self._it.since = board.now_ms()

    def disconnect(self):
        _sim.board().alive()
        if not self._it.active:
            raise OSError("WiFi Not Started")
        if self._it.joined:
            self._it.reason = 0  # ASSOC_LEAVE, which is told as idle; an attempt under way posts no event
        self._it.wanted = self._it.joined = None

    def isconnected(self):
        return _look(self._it) == STAT_GOT_IP

    def status(self, what=None):
        if what == "rssi":
            network = _network(self._it)
            if _look(self._it) != STAT_GOT_IP or network is None:
                raise OSError("Wifi Unknown Error 0x300f")
            return network.get("rssi", -60)
        if what is not None:
            raise ValueError("unknown status param")
        status = _look(self._it)
        if status == STAT_GOT_IP:
            return status
        if self._it.reason in _BEFORE_ALL_ELSE or status == STAT_IDLE:
            return self._it.reason or STAT_IDLE
        return status

    def ifconfig(self, settings=None):
        """(address, mask, gateway, DNS)"""
        network = _network(self._it)
        if _look(self._it) == STAT_GOT_IP and not (network and network.get("no_address")):
            return ("192.168.4.20", "255.255.255.0", "192.168.4.1", "192.168.4.1")
        return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

    def ipconfig(self, name):
        address, mask, gateway, _ = self.ifconfig()
        if name == "addr4":
            return (address, mask)
        if name == "gw4":
            return gateway
        raise ValueError("unknown config param")

    def config(self, *names, **settings):
        if settings:
            self._it.config.update(settings)
            return None
        name = names[0]
        if name == "mac":
            return binascii.unhexlify(_sim.board().world.get("unique_id", "240ac4000001"))
        if name in ("ssid", "essid"):
            return self._it.wanted[0] if self._it.wanted else ""
        if name in ("hostname", "dhcp_hostname"):
            return _hostname
        if name in self._it.config:
            return self._it.config[name]
        if name in ("reconnects", "pm", "channel", "txpower"):
            return {"reconnects": -1, "pm": 1, "channel": 6, "txpower": 20}[name]
        raise ValueError("unknown config param")


def _start_radio(board):
    memory = board.memory
    if not memory.once("radio", _simmemory.RADIO) or not memory.once(
        "active", _simmemory.ACTIVE, _simmemory.CALIBRATION
    ):
        board.end("panic: failed to allocate memory for RF calibration data")


def _network(it):
    """The strongest access point of the wanted name, or the one that is wanted."""
    best = None
    for network in _networks() if it.wanted else ():
        if network["ssid"] == it.wanted[0]:
            if it.wanted[2] and _bssid(network) != it.wanted[2]:
                continue
            if best is None or network.get("rssi", -60) > best.get("rssi", -60):
                best = network
    return best


def _bssid(network):
    return binascii.unhexlify(network.get("bssid", "020000000001"))


def _look(it):
    """See how the connection stands now, and keep the reason if it failed."""
    status = _now(it)
    if status == STAT_GOT_IP:
        it.reason = 0
    elif status not in (STAT_CONNECTING, STAT_IDLE):
        it.reason = status
    return status


def _now(it):
    board = _sim.board()
    world = board.world
    if not it.active or not it.wanted:
        return STAT_IDLE
    network = _network(it)
    if network is None:
        # It was there: the driver notices by missing beacons. It comes back by itself when the network does.
        it.since = board.now_ms()
        lost, it.joined = it.joined, None
        return STAT_BEACON_TIMEOUT if lost else STAT_NO_AP_FOUND
    if it.joined:
        return STAT_GOT_IP  # an address that is lost isn't noticed
    if network.get("dead"):
        return STAT_CONNECTING
    if board.now_ms() - it.since < network.get("join_ms", world.get("join_ms", 50)):
        return STAT_CONNECTING
    if network.get("key") and network["key"] != it.wanted[1]:
        return STAT_WRONG_PASSWORD
    if not network.get("key") and it.wanted[1]:
        # With a key the station asks for WPA at least, and finds no such network.
        return STAT_NO_AP_FOUND
    if network.get("no_address"):
        return STAT_CONNECTING
    it.joined = it.wanted[0]
    return STAT_GOT_IP


def _security(network):
    return network.get("security", AUTH_WPA2_PSK if network.get("key") else AUTH_OPEN)


class _Interface:
    def __init__(self):
        self.active = False
        self.wanted = None  # (ssid, key) to connect to
        self.joined = None  # ssid it is connected to
        self.since = 0
        self.reason = 0  # of the last failure
        self.config = {}


_station = _Interface()
