"""A board that hostile releases, answers and records are thrown at: keeper as a product assembles it, over a simulated
flash. Only the socket is replaced, by the answers of a server that does what a case says.

Runs on CPython and MicroPython, there in a heap as small as a good update needs: it keeps nothing from case to case.
"""

import binascii
import gc

import _sim
import esp32

import keeper.talking.http
from fake_device import brought, clock_of, kept_loaded
from fake_flash import OTADATA, SLOT_SIZE, SLOTS, VALID, boot, identity, otadata
from keeper import phases, release
from keeper.board.slots import Slots
from keeper.errors import KeeperError
from keeper.lifecycle import Lifecycle
from keeper.services.gadgetkeeper.standing import Activation
from keeper.services.gadgetkeeper.wire import GadgetKeeper
from keeper.talking.http import Client
from keeper.talking.patience import Patience
from support_flash import Ended, attach, make_flash

SECTOR = 4096
NOW = "2026-11-21T21:00:00Z"
RUNNING, OTHER = SLOTS["ota_0"], SLOTS["ota_1"]
_ENDLESS = 1 << 20  # bytes of one answer, some tens of times what a right one has: who reads on doesn't stop


class Wrong(Exception):
    """The board did what it must never do."""


class Spliced:
    """A file with edits, read anywhere: [offset in the file, bytes removed, hex of what comes instead], in order."""

    def __init__(self, path, edits):
        self._file = open(path, "rb")  # noqa: SIM115
        end = self._file.seek(0, 2)
        self._spans = []  # (offset in the result, offset in the file or None, bytes put in or their number)
        self.size = position = 0
        for at, removed, text in edits:
            self._span(position, at - position)
            put = binascii.unhexlify(text)
            self._spans.append((self.size, None, put))
            self.size += len(put)
            position = at + removed
        self._span(position, end - position)

    def _span(self, at, count):
        if count > 0:
            self._spans.append((self.size, at, count))
            self.size += count

    def read(self, offset, count):
        """Up to `count` bytes from `offset` on, b"" at the end."""
        for start, at, what in self._spans:
            if at is None and start <= offset < start + len(what):
                return what[offset - start : offset - start + count]
            if at is not None and start <= offset < start + what:
                self._file.seek(at + offset - start)
                return self._file.read(min(count, what - (offset - start)))
        return b""

    def close(self):
        self._file.close()


def _pieces(content, first, last):
    while first < last:
        piece = content.read(first, min(768, last - first))
        if not piece:
            return
        yield piece
        first += len(piece)


def _in_chunks(pieces):
    for piece in pieces:
        yield b"%x\r\n" % len(piece) + piece + b"\r\n"
    yield b"0\r\n\r\n"


def _as_json(content, before, after):
    yield before
    at = 0
    while at < content.size:
        piece = b""
        while len(piece) < 768 and at + len(piece) < content.size:
            piece += content.read(at + len(piece), 768 - len(piece))
        yield binascii.b2a_base64(piece)[:-1]
        at += len(piece)
    yield after


class Wire:
    """One connection: takes a request, and gives the server's bytes in pieces of odd sizes."""

    peer = "server"

    def __init__(self, server, pulse):
        self.patience = Patience(pulse, 1 << 29, 1 << 29)
        self._server = server
        self._pieces = None
        self._piece = b""
        self._given = 0
        self._turn = 0

    def write(self, data):
        if self._pieces is None:
            self._pieces = self._server.answer(bytes(data))

    def readinto(self, buf):
        if not self._piece:
            try:
                self._piece = next(self._pieces)
            except StopIteration:
                return 0
        self._turn = self._turn % 1400 + 333
        count = min(len(buf), len(self._piece), self._turn)
        buf[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        self._given += count
        if self._given > _ENDLESS:
            raise Wrong("reads an answer on without an end")
        return count

    def close(self):
        self._piece = b""


class Server:
    """Speaks GadgetKeeper's wire form; its firmware comes as `case` says."""

    def __init__(self, folder):
        self._folder = folder
        self.case = None
        self.target = self.current = "v0"
        self.opened = []

    def answer(self, request):
        head = str(request.partition(b"\r\n\r\n")[0], "utf-8").split("\r\n")
        method, path, _ = head[0].split(" ")
        if "/firmware." in path:
            return self._firmware(path, head)
        if path.endswith("/activate.json"):
            return self._json('{"apiKey": "0123456789abcdef", "thingId": "thing1"}')
        if path.endswith("/target-version.json"):
            return self._json(f'{{"id": "{self.target}", "name": "{self.target}"}}')
        if path.endswith("/version.json") and method == "GET":
            return self._json(f'{{"id": "{self.current}", "name": "{self.current}"}}')
        return self._json("{}")

    def _json(self, text):
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
        yield text.encode()

    def _firmware(self, path, head):
        case = self.case
        how = case["how"]
        content = Spliced(self._folder + "/" + case["base"], case["edits"])
        self.opened.append(content)
        if how in ("json", "wire-json") and path.endswith(".bin"):
            yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        elif how in ("wire", "wire-json"):
            yield from _pieces(content, 0, content.size)
            if case.get("endless"):
                while True:
                    yield binascii.unhexlify(case["endless"]) * 16
        elif how == "json" or path.endswith(".json"):
            before, after = b'{"firmware": "', b'"}'
            size = (content.size + 2) // 3 * 4 + len(before) + len(after)
            yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
            yield from _as_json(content, before, after)
        else:
            yield from self._raw(how, content, head)

    def _raw(self, how, content, head):
        first, last = 0, content.size
        status = "200 OK"
        lines = ['ETag: "one"']
        if how == "range":
            for line in head:
                if line.startswith("Range: bytes="):
                    start, _, end = line[13:].partition("-")
                    first = int(start)
                    last = min(last, int(end) + 1) if end else last
                    status = "206 Partial Content"
                    lines.append(f"Content-Range: bytes {first}-{last - 1}/{content.size}")
        if how == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif how == "short":  # says that all of a right file comes
            lines.append(f"Content-Length: {self.case['says']}")
        elif how != "close":
            lines.append(f"Content-Length: {last - first}")
        yield ("HTTP/1.1 " + status + "\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()
        pieces = _pieces(content, first, last)
        yield from _in_chunks(pieces) if how == "chunked" else pieces

    def close(self):
        while self.opened:
            self.opened.pop().close()


class _Watched(Lifecycle):
    """Keeps the last error that a step met."""

    met = None

    def _pause_after(self, error):
        self.met = error
        return Lifecycle._pause_after(self, error)


class Victim:
    """`with Victim(folder, work, keys) as victim:` a board that is registered and up to date, again before each case.

    folder: has `old` (what lies in the running slot), `good` (a release file) and what the cases are made from. work:
    for its flash.
    """

    def __init__(self, folder, work, keys):
        self.folder = folder
        self.keys = keys
        self.path = work + "/flash.bin"
        self._template = work + "/template.bin"
        self.server = Server(folder)
        self.selections = 0
        self.good = {"base": "good", "edits": [], "how": "whole"}

    def __enter__(self):
        self._brought = brought(self.keys)
        self._brought.__enter__()
        self._kept_loaded = kept_loaded()
        self._kept_loaded.__enter__()
        self._clock_of = clock_of(keeper.uptime)
        self.clock = self._clock_of.__enter__()
        self._connect, keeper.talking.http.connect = keeper.talking.http.connect, self._connected
        self._set_boot = esp32.Partition.set_boot
        victim = self

        def set_boot(partition):
            victim.selections += 1
            victim._set_boot(partition)

        esp32.Partition.set_boot = set_boot
        with open(self.folder + "/old", "rb") as file:
            parts = [("ota_0", file.read())]
        parts.extend(otadata((1, VALID)))
        make_flash(self.path, parts)
        self._blocks = (bytearray(512), bytearray(512))
        self._spoilt = True  # whether the flash isn't as it was in the beginning
        self.touched = set()  # sectors to be restored
        self.written = set()  # those that the case in hand wrote
        self.start()
        self.step()
        if self.lifecycle.met:
            raise Wrong(f"no board to begin with: {self.lifecycle.met}")
        _copy_file(self.path, self._template)
        return self

    def __exit__(self, *error):
        esp32.Partition.set_boot = self._set_boot
        keeper.talking.http.connect = self._connect
        self._clock_of.__exit__(*error)
        self._kept_loaded.__exit__(*error)
        self._brought.__exit__(*error)
        self.server.close()
        return False

    def _connected(self, host, port, context, patience):
        return Wire(self.server, patience.pulse)

    def restore(self):
        """The board as it was when it had just registered."""
        self.touched.update((OTADATA, OTADATA + SECTOR))  # a bootloader doesn't tell
        with open(self.path, "r+b") as file, open(self._template, "rb") as template:
            block = self._blocks[0]
            for address in self.touched:
                for at in range(address, address + SECTOR, len(block)):
                    template.seek(at)
                    template.readinto(block)
                    file.seek(at)
                    file.write(block)
        self.touched.clear()
        self.server.current = "v0"

    def start(self, **changes):
        """A life of the board, from its boot on."""
        self.end()
        self.label = boot(self.path)
        self.sim = attach(self.path, self.label)
        self.sim.tell = self._told
        found = identity(**changes)
        cloud = GadgetKeeper(Client(_nothing), found.server)
        activation = Activation(found, cloud, "ThermometerDevice")
        self.lifecycle = _Watched(activation, cloud, self, _nothing, lambda: NOW)
        self.lifecycle.begin()

    def end(self):
        """A reset leaves nothing of the life before it in memory."""
        self.sim = self.lifecycle = None
        phases.handles.clear()
        del esp32._stores[:]
        gc.collect()

    def step(self):
        """One turn of work, when it is due; "reset" if that is how it ended, "" if the life goes on."""
        self.lifecycle.met = None
        self.clock.pass_ms(901_000)
        try:
            self.lifecycle.step()
            return ""
        except Ended as ended:
            return str(ended)
        finally:
            self.server.close()

    def _told(self, line):
        if line.startswith("op "):
            sector = int(line.split()[2]) // SECTOR * SECTOR
            self.touched.add(sector)
            self.written.add(sector)

    def wrote(self, start, size):
        """Whether the case in hand erased or wrote anything there."""
        return any(start <= address < start + size for address in self.written)

    def throw(self, case, number=0):
        """One hostile release; how the board met it. Wrong if it did what it must not.

        While nothing is written one life meets case after case. After a case that wrote, a good release is installed,
        every other time after a reset; `number` is the case's.
        """
        if self._spoilt:
            self.restore()
            self.start()
        self._spoilt = True
        self.selections = 0
        self.written.clear()
        self.server.case, self.server.target = case, f"bad{number}"
        outcome = self._judge(case["stage"], self.step(), case)
        if self.written or number % 64 == 0:
            self._still_updates(number % 2 == 1)
        elif "json" not in case["how"]:  # the driver remembers a server that has only that
            self._spoilt = False
        return outcome

    def _judge(self, stage, end, case):
        if self.wrote(RUNNING, SLOT_SIZE):
            raise Wrong("the running slot was written")
        if end:
            if stage in ("header", "content"):
                raise Wrong("it was selected: " + end)
            if stage != "trial":
                self._is_installed(case.get("plain", "good"))
            self._is_left_again()
            return "selected"
        met = self.lifecycle.met
        if isinstance(met, str):
            raise MemoryError(met)  # the life cycle has made it a line
        if not isinstance(met, KeeperError):
            raise Wrong(f"nothing refused it: {met!r}")
        if "\n" in str(met) or not str(met):
            raise Wrong(f"the reason isn't one line: {met!r}")
        outcome = f"{met.__class__.__name__}: {met}"
        if stage in ("fine", "trial"):
            raise Wrong("it was refused: " + outcome)
        if case.get("why", "") not in outcome:
            raise Wrong("another reason than expected: " + outcome)
        if self.wrote(OTADATA, 2 * SECTOR):
            raise Wrong("otadata was written; " + outcome)
        if self.selections and stage != "unbootable":
            raise Wrong("it was about to be selected; " + outcome)
        if stage == "header" and self.written:
            raise Wrong("flash was written before its header was refused; " + outcome)
        if stage == "content" and _holds_release(Slots().other):
            raise Wrong("a release was left in the slot; " + outcome)
        return outcome

    def _is_left_again(self):
        """What was selected gets one trial; if it doesn't prove itself the board goes back by itself."""
        first, second = boot(self.path), boot(self.path)
        if (first, second) != ("ota_1", "ota_0"):
            raise Wrong(f"it boots {first}, then {second}: no trial")

    def _is_installed(self, name):
        """The other slot holds what a release file says, byte for byte."""
        one, other = self._blocks
        with open(self.folder + "/" + name + ".slot", "rb") as wanted, open(self.path, "rb") as flash:
            flash.seek(OTHER)
            while wanted.readinto(one):
                flash.readinto(other)
                if one != other:
                    raise Wrong("the slot doesn't hold what was signed")

    def _still_updates(self, after_a_reset):
        """A good release is installed on this same board."""
        if after_a_reset or self.sim.over:
            self.start()
        self.server.case, self.server.target = self.good, "good"
        # Where only the parts were wrong, and their end missing, a download goes on: that can fail, but only once.
        end = self.step() or self.step()
        if isinstance(self.lifecycle.met, str):
            raise MemoryError(self.lifecycle.met)
        if end != "reset" or boot(self.path) != "ota_1":
            raise Wrong(f"no good release can be installed afterwards: {self.lifecycle.met}")
        self._is_installed("good")

    # the product

    def healthy(self):
        return ""

    def last_words(self):
        return "power"

    def before_reset(self):
        pass

    def reset(self):
        _sim.board().end("reset")


def _holds_release(slot):
    header = bytearray(SECTOR)
    offset = slot.header_offset()
    if offset is not None:
        slot.read(offset, header)
    try:
        return release.parse(header) is not None
    except KeeperError:
        return False


def _nothing():
    pass


def _copy_file(source, target):
    with open(source, "rb") as read, open(target, "wb") as written:
        block = read.read(SECTOR)
        while block:
            written.write(block)
            block = read.read(SECTOR)
