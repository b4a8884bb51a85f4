"""What memory a classic ESP32 has beside its program: ESP-IDF's pool, and the Python heap that grows out of it.

It grants or refuses and keeps account. It must not know the modules that take memory, nor how each fails without it.
Every size is measured on stock firmware; docs/simulator.md says where each comes from.
"""

# Regions of the pool at the prompt: (bytes in all, free).
FIRMWARE = {
    "v1.25": ((16648, 4468), (85992, 11384), (15072, 14656), (113840, 112968)),
    "v1.26": ((16648, 4468), (85992, 8084), (15072, 14656), (113840, 112968)),
    "roomy": ((4194304, 4194304),),  # as with PSRAM: nothing ever runs short
}
AT_PROMPT = 1664  # in use of Python's heap before anything of ours runs
DECLARED = 65000  # in use where there is no such heap to look at (CPython): what a product may have when idle

NETWORK = 4300  # import of network
WLAN = 33800  # network.WLAN(), once
RADIO = 200  # active(True), once
ACTIVE = 2000  # active(True), until active(False)
CALIBRATION = 1904  # of that in one piece
JOINED = 6000  # the first connection
SOCKET = 400
CONNECT = 2200  # above that, while it connects
ANSWER = 8000  # what waits for a socket's reader at most
TLS_ANSWER = 6000  # the same below TLS
CONTEXT = 300  # ssl.SSLContext
CERTIFICATE = 700  # each that it trusts
TLS = 22700  # wrap_socket
TLS_PIECE = 17000  # of that in one piece
HANDSHAKE = 7500  # above that, while it lasts
SESSION = 2600  # above that, from then on
TLS_HOLE = 16000  # what the first TLS connection cuts off the largest block

_FIRST = 56000  # bytes that the first area of the heap has for objects
_STEP = 512  # by which the heap in use grows before that is told
_PIECE = 64  # a usual allocation
_HEADER = 4  # of each allocation


class Pool:
    """ESP-IDF's heap: regions, and in each a block that stands for all the larger and smaller ones of the chip."""

    def __init__(self, regions):
        self._regions = [[total, free, free] for total, free in regions]  # bytes in all, free, least free ever
        self._blocks = [[number, region[1]] for number, region in enumerate(regions)]
        self._split = False
        self._note()

    def _note(self):
        self.free = self.least = 0
        for _, free, least in self._regions:
            self.free += free
            self.least += least

    @property
    def largest(self):
        return _allocatable(self._largest_block()[1])

    def info(self):
        """[(total, free, largest block, least free ever)], region by region."""
        found = []
        for number, (total, free, least) in enumerate(self._regions):
            largest = max([size for region, size in self._blocks if region == number])
            found.append((total, free, _allocatable(largest), least))
        return found

    def take(self, size, piece=0):
        """Take so many bytes, `piece` of them in one block: what `give` wants back; None if they aren't there."""
        if size > self.free or piece > self.largest:
            return None
        taken = []
        if piece:
            self._move(self._largest_block(), -piece, taken)
        rest = size - piece
        for block in self._blocks:
            share = min(rest, block[1])
            if share:
                self._move(block, -share, taken)
                rest -= share
        self._note()
        return taken

    def give(self, taken):
        """Give back what `take` gave."""
        for block, size in taken:
            self._move(block, size)
        self._note()

    def dip(self, size):
        """Take and give at once; no more than there is."""
        self.give(self.take(min(size, self.free)))

    def part(self, taken):
        """Give back what `take` gave while something lies between it and the rest: it stays a block of its own."""
        for block, size in taken:
            self._blocks.append([block[0], 0])
            self._move(self._blocks[-1], size)
        self._note()

    def split(self, size):
        """Make two of the largest block, once."""
        largest = self._largest_block()
        if not self._split and largest[1] > size:
            self._split = True
            largest[1] -= size
            self._blocks.insert(self._blocks.index(largest), [largest[0], size])

    def _move(self, block, size, taken=None):
        region = self._regions[block[0]]
        block[1] += size
        region[1] += size
        region[2] = min(region[2], region[1])
        if taken is not None:
            taken.append((block, -size))

    def _largest_block(self):
        return max(self._blocks, key=_size)


def _size(block):
    return block[1]


def _allocatable(size):
    """What a free block counts as: ESP-IDF's allocator keeps blocks by sixteenths of a power of two."""
    step = 16
    while step * 32 <= size:
        step *= 2
    return size // step * step


class Heap:
    """The areas of MicroPython's heap; the first is there from the start and isn't part of the pool."""

    def __init__(self, pool):
        self._pool = pool
        self.areas = [_FIRST]  # bytes for objects
        self.total = _FIRST
        self._taken = []  # for all but the first: (what the pool gave, bytes of objects in the others)

    def grow(self, size):
        """An allocation of `size` has failed, after a collection, too: add one area. False if there is no room."""
        largest = self._pool.largest
        needed = size + max(2048, size * 13 // 512)
        if largest < needed:
            return False
        area = min(largest, max(_bytes_for(self.total), needed))
        taken = self._pool.take(min(area + _HEADER, self._pool.free), area)
        self._taken.append((taken, self.total))
        self.areas.append(_objects_in(area))
        self.total += self.areas[-1]
        return True

    def shrink(self, live):
        """A collection left `live`: areas that are wholly empty go back.

        Where objects lie isn't known here. The last area counts as empty when the others are half empty: an object
        that stays in it is all that it takes to keep it.
        """
        while self._taken and live <= self._taken[-1][1] // 2:
            self._pool.give(self._taken.pop()[0])
            self.total -= self.areas.pop()


def _bytes_for(objects):
    """Size of an area for so many bytes of objects: 3/8 of a byte of tables for each 16, and a head."""
    return (objects * 131 // 128 + 45 + 15) // 16 * 16


def _objects_in(area):
    return (area - 24) * 128 // 131 // 64 * 64


class Hold:
    """Memory that an object outside Python's heap has. `dropped`: nobody can reach the object any more.

    The collector sets that one while it may not allocate: so it has to be there from the start.
    """

    def __init__(self, taken, tls=False):
        self.taken = taken
        self.tls = tls
        self.dropped = False


def _nothing():
    pass


def _declared():
    return DECLARED


class Memory:
    """The account of one life. tell: where a change of its extremes is told, as a line."""

    def __init__(self, firmware, tell):
        self.pool = Pool(FIRMWARE[firmware])
        self.heap = Heap(self.pool)
        self._tell = tell
        self._started = False
        self._measure = self._collect = self._watch = _nothing
        self.when_grown = []  # called once the heap has its second area
        self.used = 0
        self._once = {}
        self._sockets = {}  # key -> Hold
        self._holds = []  # of contexts and TLS objects
        self._unclosed = 0  # TLS objects that the collector had to close
        self._told = [self.pool.least, 1, 0, 0]  # least of the pool, most areas, most in use, TLS left unclosed

    def start(self, measure=None, collect=None, watch=None):
        """From here on Python's heap counts.

        measure: how many bytes of it are in use, garbage included; collect: collects; watch: called before each look.
        """
        self._measure = measure or _declared
        self._collect = collect or _nothing
        self._watch = watch or _nothing
        self._started = True
        self.look()

    # Python's heap

    def look(self):
        """See what has become of Python's heap, as if each allocation had been seen. May raise MemoryError."""
        if not self._started:
            return
        self._watch()
        self.used = self._measure()
        if self.used > self.heap.total:
            self.collect()
            # What came since the last look came in small pieces: nearly all does.
            while self.used > self.heap.total:
                if not self.heap.grow(_PIECE):
                    self._account()
                    raise MemoryError("memory allocation failed, allocating %d bytes" % _PIECE)
        while self.when_grown and len(self.heap.areas) > 1:
            self.when_grown.pop()()
        if self._sockets:
            for held in self._sockets.values():
                self.pool.dip(TLS_ANSWER if held.tls else ANSWER)
        self._account()

    def collect(self):
        """Collect; what nobody can reach any more is given back."""
        self._collect()
        self.used = self._measure() or 0
        self.heap.shrink(self.used)
        for held in list(self._holds):
            if held.dropped:
                self._unclosed += held.tls
                self.release(held)
        self._account()

    def _account(self):
        told = self._told
        least, areas = self.pool.least, len(self.heap.areas)
        if least < told[0] or areas > told[1] or self.used >= told[2] + _STEP or self._unclosed > told[3]:
            told[0] = least
            told[1] = max(areas, told[1])
            told[2] = max(self.used, told[2])
            told[3] = self._unclosed
            self._tell("memory %d %d %d %d" % tuple(told))

    # what is there once

    def once(self, name, size, piece=0):
        """Take for something that there is once; True if it is there."""
        self.look()
        if name not in self._once:
            taken = self.pool.take(size, piece)
            if taken is None:
                return False
            self._once[name] = taken
            self._account()
        return True

    def back(self, name):
        """That is gone."""
        self.pool.give(self._once.pop(name, ()))

    # objects

    def hold(self, size, piece=0, tls=False):
        """Take for an object: a Hold, or None. A refusal collects and tries once more, as MicroPython does."""
        self.look()
        taken = self.pool.take(size, piece)
        if taken is None:
            self.collect()
            taken = self.pool.take(size, piece)
            if taken is None:
                return None
        held = Hold(taken, tls)
        self._holds.append(held)
        self._account()
        return held

    def new_context(self):
        """For an SSLContext: a Hold, or None."""
        return self.hold(CONTEXT)

    def trust(self, held):
        """One more certificate for a context; False if it doesn't fit."""
        return self._more(held, CERTIFICATE)

    def _more(self, held, size):
        taken = self.pool.take(size)
        if taken is None:
            return False
        held.taken += taken
        self._account()
        return True

    def release(self, held):
        """The object is closed, or collected."""
        if held in self._holds:
            self._holds.remove(held)
            self.pool.give(held.taken)
            if held.tls:
                self.pool.split(TLS_HOLE)

    # threads

    def start_thread(self, size):
        """A thread's stack: what `end_thread` wants back, or None."""
        self.look()
        return self.pool.take(size, size)

    def end_thread(self, taken, apart):
        """apart: another thread's stack lies between this one and the memory that follows."""
        (self.pool.part if apart else self.pool.give)(taken)
        self._account()

    # sockets

    def open_socket(self, key):
        """False if there is no memory for one more that connects."""
        self.close_socket(key)
        self.look()
        if self.pool.free < SOCKET + CONNECT:
            return False
        self._sockets[key] = Hold(self.pool.take(SOCKET))
        return True

    def room_for_an_address(self):
        """Whether a name can be looked up: for a moment that takes about as much as a socket."""
        self.look()
        return self.pool.free >= SOCKET

    def close_socket(self, key):
        held = self._sockets.pop(key, None)
        if held:
            self.pool.give(held.taken)

    def secure_socket(self, key):
        """TLS lies on it from now on: a Hold, or None."""
        held = self.hold(TLS, TLS_PIECE, True)
        if held and key in self._sockets:
            self._sockets[key].tls = True
        return held

    def shake_hands(self, held):
        """Whether there is memory for the handshake, and for what stays of it."""
        if self.pool.free < HANDSHAKE:
            return False
        self.pool.dip(HANDSHAKE)
        return self._more(held, SESSION)
