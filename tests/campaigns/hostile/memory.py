"""Leaves the board as much heap as a good update needs, and a little, and watches what the cases do with it.

Only MicroPython has such a heap; on CPython all of this does nothing. It must not know what a case is.
"""

import gc
import json

import keeper.talking.jsontext

LITTLE = 28 * 1024  # bytes that a hostile case may need more than a good update
GROWTH = 6 * 1024  # bytes of heap that all cases together may leave behind: some tables grow once
_STEP = 2048
_SIZES = (1024, 256, 64)


class Watch:
    """`with Watch(limited) as watch:`."""

    def __init__(self, limited):
        self._limited = limited
        self._ballast = {}
        self._base = 0
        self.spare = 0
        self._swallowed = _Swallowed()

    def __enter__(self):
        self._swallowed.watch()
        return self

    def __exit__(self, *error):
        self._swallowed.leave()
        return False

    def squeeze(self, warm_up):
        """Take heap away until `warm_up` (a good update) only just finds enough, then give back LITTLE."""
        self.release()
        warm_up()
        if not self._limited:
            return
        for size in _SIZES:  # the large blocks first, then what is left between everything
            gc.collect()
            try:
                while True:
                    self._ballast[size].append(bytearray(size))
            except MemoryError:
                pass
        while not self._fits(warm_up):
            self._give_back()
        for _ in range(LITTLE // _STEP):
            self._give_back()
        gc.collect()
        self._base = gc.mem_alloc()
        self.spare = gc.mem_free()

    def _fits(self, warm_up):
        self._swallowed.count = 0
        try:
            warm_up()
            return self._swallowed.count == 0
        except MemoryError:
            return False

    def _give_back(self):
        """One STEP of heap: most of it in large blocks."""
        for size in _SIZES:
            blocks = self._ballast[size]
            for _ in range(_STEP // size if size == _SIZES[0] else _STEP // 8 // size):
                if blocks:
                    blocks.pop()

    def release(self):
        """Give all of it back."""
        for size in _SIZES:
            self._ballast[size] = []

    def before(self):
        """A case begins."""
        self._swallowed.count = 0

    def after(self):
        """What a case did wrong with the heap; "" if nothing."""
        if self._swallowed.count:
            return "the board ran out of memory and took that for an answer"
        if self._limited:
            gc.collect()
            growth = gc.mem_alloc() - self._base
            if growth > GROWTH:
                self._base += growth  # said once
                return f"{growth} bytes of heap are left over since the first case"
        return ""


class _Swallowed:
    """Counts how often JSON didn't fit, should anybody take that for an answer."""

    def __init__(self):
        self.count = 0

    def watch(self):
        keeper.talking.jsontext.json = self

    def leave(self):
        keeper.talking.jsontext.json = json

    def loads(self, text):
        try:
            return json.loads(text)
        except MemoryError:
            self.count += 1
            raise
