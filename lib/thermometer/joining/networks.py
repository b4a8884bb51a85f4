"""The Wi-Fi networks that the board keeps in NVS. What form each has is for `wifi` to judge, not known here."""

from keeper.nvs.state import Store

_RECORD = "networks"


def load():
    """The networks: a list of dicts. Raises StateError."""
    found = Store("wifi").load(_RECORD)
    return [network for network in found if isinstance(network, dict)] if isinstance(found, list) else []


def save(networks):
    """Keep these from now on. Raises StateError."""
    Store("wifi").save(_RECORD, networks)
