"""Which access points can be joined with what is stored, and in which order. Pure; must not know the driver.

Of a network each access point is a candidate of its own: one of two with the same name may be dead, and a driver that
is given the name only takes the stronger one each time.
"""

_OPEN = 0  # authmode in a scan
_ONE_NAME = 4  # access points of one name are tried


def usable(network):
    """Whether a stored entry has the form that this release reads; an older or a newer one may have left another."""
    if not isinstance(network, dict) or not isinstance(network.get("ssid"), str) or not network["ssid"]:
        return False
    return network.get("key") is None or isinstance(network["key"], str)


def choose(networks, seen, last=None):
    """([(network, bssid or None)] in the order in which to try them, ["ssid: why not"]).

    seen: what a scan gave. last: the name of a network that comes behind all others. A bssid is only given where a name
    has several access points. Hidden networks are tried when somebody hides.
    """
    found, hidden, failed = [], [], []
    someone_hides = False
    for entry in seen:
        someone_hides = someone_hides or not entry[0].strip(b"\0")
    for network in networks:
        name = network["ssid"].encode()
        points, misfit = [], None
        for entry in seen:
            if entry[0] == name:
                # A known name without its key is perhaps somebody else's trap: never join it open.
                if bool(network.get("key")) != (entry[4] != _OPEN):
                    misfit = "asks for no key, but one is stored" if network.get("key") else "asks for a key"
                else:
                    points.append((entry[3], bytes(entry[1])))
        points.sort(reverse=True)
        for rssi, bssid in points[:_ONE_NAME]:
            found.append((network["ssid"] == last, -rssi, network, bssid if len(points) > 1 else None))
        if misfit and not points:
            failed.append(network["ssid"] + ": " + misfit)
        elif not points:
            hidden.append(network)
    found.sort(key=lambda one: one[:2])
    if not someone_hides:
        failed.extend([network["ssid"] + ": not found" for network in hidden])
        hidden = []
    return [one[2:] for one in found] + [(network, None) for network in hidden], failed
