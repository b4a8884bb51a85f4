"""The factory record: who a board is, as bytes of the partition `factory`. keeper.identity reads it."""

import json
import struct
import zlib
from typing import Any

from keeper.errors import FactoryError
from keeper.factory import identity
from keeper.services.gecko_dms.joining import record as dms_record
from thermokeeper.errors import ToolError


def pack(serial: str, product: str, server: str, service: str = "gadgetkeeper", **extra: Any) -> bytes:
    """The 4096 bytes of a record; ToolError if a device would refuse it.

    `extra`: more members, like plain_http=True for a server without TLS.
    """
    fields = {"serial": serial, "product": product, "service": service, "server": server, **extra}
    try:
        text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raise ToolError(f"the factory record can't hold this: {error}") from None
    if len(text) > identity.RECORD_SIZE - len(identity.MAGIC) - 6:
        raise ToolError(f"the factory record would have {len(text)} bytes; leave something out")
    record = identity.MAGIC + struct.pack("<H", len(text)) + text
    record += struct.pack("<I", zlib.crc32(record))
    try:
        found = identity.parse(record)
        if found.service == "gecko_dms":
            dms_record.uuid_of(found)
            dms_record.factory_token(found)
    except FactoryError as error:
        hint = "; add --plain-http if the server really has no TLS" if "plain_http" in str(error) else ""
        raise ToolError(f"a device wouldn't accept this: {error}{hint}") from None
    return record.ljust(identity.RECORD_SIZE, b"\xff")
