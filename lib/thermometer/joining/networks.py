"""The Wi-Fi networks that the board keeps: in NVS, and a second copy beside it, for NVS may be erased at a start.

What form each network has is for `candidates` to judge, not known here.
"""

import json

from keeper import keeping
from keeper.console import say
from keeper.errors import StateError
from keeper.nvs.state import Store
from keeper.talking import jsontext

_RECORD = "networks"
_COPY = 0  # number of the record in `data`


def load():
    """The networks: a list of dicts. Raises StateError."""
    found = Store("wifi").load(_RECORD)
    if isinstance(found, list):
        _copy(found)
        return _dicts(found)
    copy = _copied()
    if copy:
        say("wifi", "the networks were lost in NVS and are taken from their copy")
        Store("wifi").save(_RECORD, copy)
    return _dicts(copy)


def save(networks):
    """Keep these from now on. Raises StateError."""
    Store("wifi").save(_RECORD, networks)
    _copy(networks)


def _copied():
    try:
        found = jsontext.loads(keeping.load(_COPY) or b"[]")
    except (StateError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _copy(networks):
    if _copied() == networks:  # the text may differ: members are in no order
        return
    try:
        keeping.save(_COPY, json.dumps(networks).encode())
    except StateError as error:  # NVS has them, and that is where they are read
        say("wifi", "no second copy of the networks: %s" % error)


def _dicts(found):
    return [network for network in found if isinstance(network, dict)]
