"""Before the application is loaded a thread's stack parts the memory: the heap's second area leaves some to the IDF."""

import sys

from keeper.waking import areas


class _Esp32:
    HEAP_DATA = 4

    def __init__(self, largest):
        self.largest = largest

    def idf_heap_info(self, kind):
        assert kind == self.HEAP_DATA
        return [(113_840, self.largest, self.largest, 0), (15_072, 14_656, 14_336, 0)]


class _Lock:
    held = False

    def acquire(self):
        self.held = True

    def release(self):
        self.held = False


class _Thread:
    """Notes what is started, and with how large a stack; or refuses."""

    def __init__(self, refuses=False):
        self.refuses = refuses
        self.started = []
        self.size = 0
        self.lock = _Lock()

    def allocate_lock(self):
        return self.lock

    def stack_size(self, size):
        self.size = size

    def start_new_thread(self, function, arguments):
        if self.refuses:
            raise OSError("can't create thread")
        self.started.append((self.size, self.lock.held))


class _Time:
    @staticmethod
    def sleep_ms(duration_ms):
        pass


def _part(largest, thread):
    """What was said."""
    said = []
    real = areas._thread, areas.time, areas.say, sys.modules.get("esp32")
    areas._thread, areas.time, sys.modules["esp32"] = thread, _Time, _Esp32(largest)
    areas.say = lambda *words: said.append(words)
    try:
        areas.part_memory()
    finally:
        areas._thread, areas.time, areas.say, module = real
        if module is None:
            sys.modules.pop("esp32")
        else:
            sys.modules["esp32"] = module
    return said


def test_the_heap_s_second_area_leaves_a_part_of_the_largest_piece_to_the_idf():
    for largest, expected in ((47_104 + 20_479, []), (77_824, [(77_824 - 47_104 - 10_240, True), (5120, True)])):
        thread = _Thread()
        assert _part(largest, thread) == []
        assert thread.started == expected
        assert thread.size == 0  # what comes after has the usual size
        assert not thread.lock.held


def test_where_no_stack_can_be_had_that_is_said_and_all_goes_on():
    thread = _Thread(refuses=True)
    assert _part(4_000_000, thread) == [("memory", "stays in one piece: can't create thread")]
    assert thread.size == 0 and not thread.lock.held
