"""What goes to a DMS and comes from it, packed and unpacked. A phase: loaded by what is asked of the server, and
forgotten when that is over, so that it isn't in memory beside a download."""

from keeper.services.gecko_dms.packing.msgpack import dumps, loads  # noqa: F401
