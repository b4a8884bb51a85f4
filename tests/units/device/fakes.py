"""A service that behaves like the contract's server, and a driver for it; no wire between them.

It keeps what the real one keeps and refuses what it refuses: keys rotate with every activation, an old one is refused.
A call can be made to fail before or after it took effect. Runs on CPython and MicroPython.
"""

from binascii import crc32

from fake_flash import SERIAL
from keeper.errors import CloudError
from keeper.services.version import Version


class Service:
    """The server's side: one serial, its thing, the versions of its template.

    calls: the verbs that arrived, in order; a test that cares for the order reads it.
    """

    def __init__(self, serial=SERIAL):
        self.serial = serial
        self.key = None
        self.thing = None
        self.name = None
        self.versions = {}
        self.target_id = None
        self.current_id = None
        self.points = []
        self.refused_name = None
        self.foreign = None  # a version that isn't this thing's template's any more
        self.short_by = 0  # bytes that are missing at the end of firmware that is sent
        self.resumable = False  # whether it can send firmware from anywhere on
        self.failures = []
        self.calls = []
        self.opened = []
        self.rests = 0  # how often its driver was told that a phase is over
        self._activations = 0
        self._troubles = []

    def publish(self, version_id, firmware, digest=None):
        """Make a version and let it be the target."""
        self.versions[version_id] = (firmware, digest)
        self.target_id = version_id

    def trouble(self, verb, error, after=False, times=1):
        """Let the next calls of a verb raise `error`; `after`: once they took effect (the answer is lost)."""
        for _ in range(times):
            self._troubles.append((verb, error, after))

    def calm(self):
        """Let no call fail any more."""
        del self._troubles[:]

    def activate(self, serial):
        if serial != self.serial:
            raise CloudError(404, "not_found", "no such serial")
        self._activations += 1
        self.key = "key%d" % self._activations
        if self.thing is None:
            self.thing = "thing1"
            self.name = "Thermometer 2"
        return {"key": self.key, "thing": self.thing}

    def version(self, version_id):
        if version_id is None:
            return None
        return Version(version_id, "version " + version_id, "", self.versions[version_id][1])

    def arrive(self, verb, action):
        """Do what a call asks for, or refuse, as the plan of troubles has it."""
        self.calls.append(verb)
        for trouble in self._troubles:
            if trouble[0] == verb:
                self._troubles.remove(trouble)
                if trouble[2]:
                    action()
                raise trouble[1]
        return action()


class Cloud:
    """A driver for a Service: the verbs of keeper.services."""

    def __init__(self, service):
        self.service = service
        self._key = None
        self._thing = None

    def use(self, credentials):
        self._key = credentials["key"]
        self._thing = credentials["thing"]

    def activate(self, identity):
        return self.service.arrive("activate", lambda: self.service.activate(identity.serial))

    def rename(self, name):
        self._call("rename", lambda: self._rename(name))

    def target(self):
        return self._call("target", lambda: self.service.version(self.service.target_id))

    def current(self):
        return self._call("current", lambda: self.service.version(self.service.current_id))

    def confirm(self, version_id):
        self._call("confirm", lambda: self._confirm(version_id))

    def report(self, event, points):
        self._call("report", lambda: self.service.points.extend(points))

    def failed(self, version_id, version, why):
        self._call("failed", lambda: self.service.failures.append((version_id, version, why)))

    def open_release(self, version_id, offset=0, etag=None, size=None):
        return self._call("open_release", lambda: self._open(version_id, offset, etag, size))

    def rest(self):
        self.service.rests += 1

    def _call(self, verb, action):
        def authorised():
            if self._key is None or self._key != self.service.key:
                raise CloudError(401, "unauthorized", "key missing or wrong")
            if self._thing != self.service.thing:
                raise CloudError(404, "no_such_thing", "there is no such thing")
            return action()

        return self.service.arrive(verb, authorised)

    def _rename(self, name):
        if name == self.service.refused_name:
            raise CloudError(400, "bad_request", "name not allowed")
        self.service.name = name

    def _confirm(self, version_id):
        if version_id not in self.service.versions:
            raise CloudError(404, "not_found", "no such version")
        if version_id == self.service.foreign:
            raise CloudError(409, "conflict", "not a version of this thing's template")
        self.service.current_id = version_id

    def _open(self, version_id, offset, etag, size):
        service = self.service
        if version_id not in service.versions:
            raise CloudError(404, "not_found", "no such firmware")
        firmware = service.versions[version_id][0]
        stream = Stream(firmware, service.short_by)
        if service.resumable:
            stream.resume(offset if etag == stream.etag_of(firmware) else 0, size)
        service.opened.append(stream)
        return stream


class Stream:
    """Firmware as it arrives: in pieces of odd sizes; `short_by` bytes of it never do."""

    resumable = False
    offset = 0
    etag = None
    end = None  # where it ends in the file, as far as it was asked for
    size = None  # what the server says that the whole file has

    def __init__(self, data, short_by=0, size=None):
        self._data = memoryview(data)
        self._stop = len(data) - short_by
        self._piece = 0
        self.position = 0
        self.size = size
        self.closed = False

    @staticmethod
    def etag_of(data):
        return '"%08x"' % crc32(data)

    def resume(self, offset, size):
        """Be one that can start anywhere, and does at `offset`."""
        self.resumable = True
        self.etag = self.etag_of(self._data)
        self.offset = self.position = offset
        self.size = len(self._data)
        self.end = len(self._data) if size is None else offset + size
        self._stop = min(self._stop, self.end)

    def readinto(self, buffer):
        assert not self.closed
        self._piece = self._piece % 1400 + 333
        count = max(min(len(buffer), self._piece, self._stop - self.position), 0)
        buffer[:count] = self._data[self.position : self.position + count]
        self.position += count
        return count

    def close(self):
        self.closed = True
