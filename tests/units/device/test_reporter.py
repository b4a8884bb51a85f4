"""Delivery of readings: when it is tried, what is sent again, and what is dropped."""

from fake_device import clock_of
from keeper import uptime
from thermometer.measuring.outbox import CAPACITY, Outbox
from thermometer.measuring.reporter import Reporter


class Lifecycle:
    """`answers`: what comes of the next sends, True when it is empty; a number is a refusal with Retry-After."""

    def __init__(self):
        self.answers = []
        self.sent = []
        self.asked_ms = None
        self.unwanted = False
        self.key = True
        self.poison = ()  # values that are refused for good, with all that comes along

    def active(self):
        return self.key

    def note(self, topic, text):
        pass

    def send(self, event, points):
        self.sent.append(points)
        self.unwanted = bool([value for value, _ in points if value in self.poison])
        answer = self.answers.pop(0) if self.answers else not self.unwanted
        self.asked_ms = answer if answer is not True and answer is not False else None
        return answer is True


class WallClock:
    """Each stamp is another one, as if each were rounded in another way."""

    def __init__(self, known=True):
        self.known = known
        self.count = 0

    def stamp(self, age_ms):
        self.count += 1
        return "stamp %d" % self.count if self.known else None


class workplace:
    """`with workplace() as work:` has clock, lifecycle, outbox, reporter (every 60 s), wall."""

    def __enter__(self):
        self._patch = clock_of(uptime)
        self.clock = self._patch.__enter__()
        self.lifecycle = Lifecycle()
        self.wall = WallClock()
        self.outbox = Outbox(100)
        self.reporter = Reporter(self.outbox, self.wall, self.lifecycle, 60_000)
        return self

    def __exit__(self, error_type, error, trace):
        return self._patch.__exit__(error_type, error, trace)

    def pause_ms(self):
        """Milliseconds until it sends again."""
        count = len(self.lifecycle.sent)
        waited_ms = 0
        while len(self.lifecycle.sent) == count:
            self.clock.pass_ms(100)
            waited_ms += 100
            self.reporter.step()
        return waited_ms


def test_pauses_between_tries_grow_up_to_a_cap_and_start_again_after_a_success():
    with workplace() as work:
        work.outbox.put(1.0)
        work.lifecycle.answers = [False] * 12 + [True, False, True]
        work.reporter.step()
        top_ms = 5_000
        for _ in range(12):
            assert top_ms // 2 <= work.pause_ms() <= top_ms + 100
            top_ms = min(top_ms * 2, 900_000)
        assert len(work.outbox) == 0
        work.outbox.put(2.0)
        assert work.pause_ms() == 60_000
        assert work.pause_ms() <= 5_100


def test_a_pause_that_the_server_asks_for_is_kept():
    with workplace() as work:
        work.outbox.put(1.0)
        work.lifecycle.answers = [40_000]
        work.reporter.step()
        assert work.pause_ms() >= 40_000
        assert len(work.outbox) == 0


def test_nothing_is_tried_without_a_key_and_no_pause_grows_meanwhile():
    with workplace() as work:
        work.outbox.put(1.0)
        work.lifecycle.key = False
        for _ in range(100):
            work.clock.pass_ms(10_000)
            work.reporter.step()
        assert work.lifecycle.sent == []
        work.lifecycle.key = True
        work.reporter.step()
        assert len(work.outbox) == 0


def test_what_was_not_answered_is_sent_again_with_the_same_stamps():
    with workplace() as work:
        work.outbox.put(1.0)
        work.lifecycle.answers = [False]
        work.reporter.step()
        work.outbox.put(2.0)
        work.pause_ms()
        assert work.lifecycle.sent == [[(1.0, "stamp 1")], [(1.0, "stamp 1")]]
        work.pause_ms()
        assert work.lifecycle.sent[2] == [(2.0, "stamp 2")]


def test_a_reading_without_a_stamp_gets_one_as_soon_as_the_time_is_known():
    with workplace() as work:
        work.wall.known = False
        work.outbox.put(1.0)
        work.lifecycle.answers = [False]
        work.reporter.step()
        work.wall.known = True
        work.pause_ms()
        assert work.lifecycle.sent == [[(1.0, None)], [(1.0, "stamp 2")]]


def test_a_flush_sends_everything_and_says_whether_it_could():
    with workplace() as work:
        for value in range(70):
            work.outbox.put(float(value))
        assert work.reporter.flush()
        assert [len(points) for points in work.lifecycle.sent] == [32, 32, 6]
        work.outbox.put(1.0)
        work.lifecycle.answers = [False]
        assert not work.reporter.flush()
        assert len(work.outbox) == 1
        assert work.reporter.flush()


def test_a_flush_that_the_server_refused_is_not_followed_by_a_hasty_try():
    with workplace() as work:
        work.outbox.put(1.0)
        work.lifecycle.answers = [40_000]
        assert not work.reporter.flush()
        assert work.pause_ms() >= 40_000


def test_an_outbox_that_overflows_while_an_answer_is_out_loses_only_what_was_sent():
    with workplace() as work:
        work.outbox = Outbox(CAPACITY)
        work.reporter = Reporter(work.outbox, work.wall, work.lifecycle, 60_000)
        for value in range(CAPACITY):
            work.outbox.put(float(value))
        work.lifecycle.answers = [False]
        work.reporter.step()
        for value in range(CAPACITY, CAPACITY + 10):
            work.outbox.put(float(value))
        assert work.reporter.flush()
        sent = [value for points in work.lifecycle.sent[1:] for value, _ in points]
        assert sent == [float(value) for value in range(CAPACITY + 10)]
        assert work.outbox.dropped == 0


def test_a_reading_that_the_server_refuses_for_good_costs_itself_and_no_other():
    with workplace() as work:
        for i in range(40):
            work.outbox.put(float(i))
        work.lifecycle.poison = (5.0, 37.0)
        while len(work.outbox):
            work.clock.pass_ms(1_000)
            work.reporter.step()
        taken = [value for points in work.lifecycle.sent for value, _ in points if not _poisoned(work, points)]
        assert sorted(taken) == [float(i) for i in range(40) if i not in (5, 37)]
        assert len(work.lifecycle.sent) < 40


def _poisoned(work, points):
    return bool([value for value, _ in points if value in work.lifecycle.poison])
