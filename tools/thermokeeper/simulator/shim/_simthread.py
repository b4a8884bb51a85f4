"""`_thread` of the simulated board: a thread has its stack from the pool, and that is all there is of it.

It doesn't run. One that is given a lock ends when that is released; one that is given nothing waits for the heap's
second area, as that of keeper.waking does. Nothing else of ours starts threads.
"""

import _sim

_DEFAULT_SIZE = 5120
_size = [_DEFAULT_SIZE]


class _Lock:
    def __init__(self):
        self.waiting = None
        self._locked = False

    def acquire(self):
        self._locked = True
        return True

    def release(self):
        if not self._locked:
            raise RuntimeError("release unlocked lock")
        self._locked = False
        if self.waiting:
            _sim.board().memory.end_thread(self.waiting, True)
            self.waiting = None

    def locked(self):
        return self._locked


def allocate_lock():
    return _Lock()


def stack_size(size=0):
    before = _size[0]
    _size[0] = size or _DEFAULT_SIZE
    return before


def start_new_thread(function, arguments, keywords=None):
    memory = _sim.board().memory
    taken = memory.start_thread(_size[0])
    if taken is None:
        raise OSError("can't create thread")
    if arguments:
        arguments[0].waiting = taken
    else:
        memory.when_grown.append(lambda: memory.end_thread(taken, False))
    return len(memory.when_grown) + 1
