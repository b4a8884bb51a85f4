"""What the board remembers of releases, and how it is settled with what really runs."""

import esp32

from fake_flash import fill_nvs
from keeper.errors import StateError
from keeper.nvs.state import Store
from keeper.remembering.ledger import Ledger
from keeper.services.version import Version
from support import raises
from support_flash import attach, board

HOUR_MS = 3_600_000


class Running:
    """As much of a manifest as a ledger looks at."""

    def __init__(self, letter):
        self.digest = letter * 64
        self.version = letter.upper() + ".0"


A, B, C = Running("a"), Running("b"), Running("c")


def _ledger(running):
    """A ledger as after a reset: what it knows is from NVS."""
    return Ledger(Store(), running.digest, running.version) if running else Ledger(Store())


def _rolled_back(times, version_id="idb", release=B):
    """A ledger of A after that many trials of another release."""
    for _ in range(times):
        _ledger(A).expect(version_id, release)
        _ledger(A).settle(True, "watchdog")
    return _ledger(A)


def test_an_empty_ledger_knows_nothing():
    with board():
        found = _ledger(A)
        assert found.known_id() is None
        assert found.awaited_id() is None
        assert found.settle(True, "watchdog") is None
        assert not found.holds_back("ida", 0)
        assert found.runs(A.digest)
        assert not found.runs(B.digest)
        assert not found.runs(None)
        assert not _ledger(None).runs(None)


def test_a_confirmed_id_is_known_after_a_reset():
    with board():
        _ledger(A).confirmed("ida")
        assert _ledger(A).known_id() == "ida"


def test_an_id_isn_t_believed_of_another_release():
    with board():
        _ledger(A).confirmed("ida")
        assert _ledger(B).known_id() is None
        assert _ledger(None).known_id() is None


def test_an_id_without_a_release_is_not_believed_once_there_is_one():
    with board():
        _ledger(None).confirmed("id0")
        assert _ledger(None).known_id() == "id0"
        assert _ledger(A).known_id() is None


def test_an_id_of_the_old_schema_is_believed():
    with board():
        esp32.NVS("keeper").set_blob("versionId", b"c" * 32)
        assert _ledger(A).known_id() == "c" * 32


def test_a_release_that_runs_is_awaited_until_the_server_knows_it():
    with board():
        _ledger(A).expect("idb", B)
        running = _ledger(B)
        assert running.settle(False, "watchdog") is None
        assert running.awaited_id() == "idb"
        assert _ledger(B).awaited_id() == "idb"
        running.confirmed("idb")
        assert running.awaited_id() is None
        assert _ledger(B).awaited_id() is None
        assert _ledger(B).known_id() == "idb"


def test_a_release_that_doesn_t_run_is_not_awaited():
    with board():
        _ledger(A).expect("idb", B)
        assert _ledger(A).awaited_id() is None


def test_a_power_cut_before_the_slot_was_selected_is_no_rollback():
    with board():
        _ledger(A).confirmed("ida")
        _ledger(A).expect("idb", B)
        found = _ledger(A)
        assert found.settle(False, "watchdog") is None
        assert not found.holds_back("idb", 0)
        assert found.known_id() == "ida"
        assert _ledger(A).settle(True, "watchdog") is None, "settled once and for all"


def test_a_rollback_is_reported_once_and_remembered():
    with board():
        _ledger(A).expect("idb", B)
        assert _ledger(A).settle(True, "watchdog") == "B.0"
        found = _ledger(A)
        assert found.settle(True, "watchdog") is None
        assert found.holds_back("idb", 0)
        assert not found.holds_back("ida", 0)


def test_the_server_is_told_of_a_failure_until_it_knows():
    with board():
        assert _ledger(A).untold_failure() is None
        found = _rolled_back(1)
        assert found.untold_failure() == ("idb", "B.0", "watchdog")
        assert _ledger(A).untold_failure() == ("idb", "B.0", "watchdog")
        found.told()
        assert found.untold_failure() is None
        assert _ledger(A).untold_failure() is None
        assert _ledger(A).holds_back("idb", 0)


def test_a_release_that_failed_is_tried_again_after_longer_and_longer_and_then_no_more():
    for tries, wait_ms in ((1, HOUR_MS), (2, 6 * HOUR_MS), (3, None), (4, None)):
        with board():
            found = _rolled_back(tries)
            if wait_ms is None:
                assert found.holds_back("idb", 100 * HOUR_MS)
            else:
                assert found.holds_back("idb", wait_ms - 1)
                assert not found.holds_back("idb", wait_ms)


def test_tries_are_counted_for_one_release_only():
    with board():
        _rolled_back(2)
        found = _rolled_back(1, "idc", Running("c"))
        assert not found.holds_back("idb", 0)
        assert not found.holds_back("idc", HOUR_MS)


def test_the_same_release_under_another_id_keeps_its_count():
    with board():
        _rolled_back(1)
        found = _rolled_back(1, "new id")
        assert found.holds_back("new id", HOUR_MS)


def test_a_release_that_works_after_all_is_forgiven():
    with board():
        _rolled_back(1)
        _ledger(B).confirmed("idb")
        assert not _ledger(B).untold_failure(), "it works after all"


def test_a_release_that_is_left_after_it_has_passed_a_trial_counts_its_failures_on():
    """It crashes only after a while, and passes each new trial: an hour, six hours, then never again."""
    with board():
        for hours in (1, 6):
            _left()
            found = _ledger(A)
            assert found.holds_back("idb", hours * HOUR_MS - 1)
            assert not found.holds_back("idb", hours * HOUR_MS)
            _ledger(B).confirmed("idb")
        _left()
        assert _ledger(A).holds_back("idb", 1000 * HOUR_MS)


def _left():
    """Release B was confirmed, keeps crashing, and main.py gives A a trial."""
    _ledger(B).confirmed("idb")
    assert _ledger(A).settle(False, "crash", on_trial=True)
    _ledger(A).confirmed("ida")


def test_the_server_is_told_again_of_the_release_before_one_that_was_left():
    with board():
        _ledger(A).confirmed("ida")
        _ledger(B).confirmed("idb")
        assert _ledger(A).settle(False, "crash", on_trial=True) == "B.0"
        assert _ledger(A).awaited_id() == "ida" and _ledger(A).known_id() is None
        assert _ledger(A).settle(False, "reset", on_trial=True) is None, "it is still awaited"
        _ledger(A).confirmed("ida")
        assert _ledger(A).known_id() == "ida" and _ledger(A).awaited_id() is None
    with board():  # its trial may fail, while the server is away, say: that is no update that failed
        _ledger(A).confirmed("ida")
        _ledger(B).confirmed("idb")
        for _ in range(2):
            _ledger(A).settle(False, "crash", on_trial=True)
            assert _ledger(A).awaited_id() == "ida"
            assert _ledger(B).settle(True, "watchdog") is None
            assert _ledger(B).untold_failure() == ("idb", "B.0", "crash")
        _ledger(A).settle(False, "crash", on_trial=True)
        _ledger(A).confirmed("ida")
        assert _ledger(A).holds_back("idb", 0) and not _ledger(A).holds_back("ida", 0)
    with board():  # but one that failed once, passed a later trial and is confirmed may see an update fail
        _rolled_back(1)
        _ledger(B).confirmed("idb")
        _ledger(B).expect("idc", C)
        assert _ledger(B).settle(True, "watchdog") == "C.0"
    with board():  # what lies in the other slot is another release than the one before
        _ledger(A).confirmed("ida")
        _ledger(B).confirmed("idb")
        assert _ledger(C).settle(False, "crash", on_trial=True) == "B.0"
        assert _ledger(C).awaited_id() is None
    with board():  # and of another thing nothing is told
        _ledger(A).confirmed("ida")
        _ledger(B).confirmed("idb")
        of_another = _ledger(B)
        of_another.speak_of("t2")
        of_another.confirmed("idb")
        _ledger(A).settle(False, "crash", on_trial=True)
        assert _ledger(A).awaited_id() is None


def test_what_the_server_says_of_a_release_that_was_left_is_not_believed_of_the_one_that_runs():
    with board():
        _ledger(B).confirmed("idb")
        _ledger(A).settle(False, "crash", on_trial=True)
        assert _ledger(A).contradicts(Version("idb"))
        assert not _ledger(A).contradicts(Version("ida"))


def test_a_try_that_is_excused_is_not_counted():
    with board():
        _rolled_back(1)
        assert _ledger(A).excuse()
        assert not _ledger(A).holds_back("idb", 0) and not _ledger(A).untold_failure()
        _rolled_back(2)
        assert _ledger(A).excuse()
        assert not _ledger(A).holds_back("idb", HOUR_MS) and _ledger(A).holds_back("idb", 0)
        with board():
            assert not _ledger(A).excuse()


def test_updates_that_follow_each_other_have_to_rest():
    with board():
        for _ in range(4):
            assert not _ledger(A).has_to_rest(0)
            _ledger(A).expect("idb", B)
        assert _ledger(A).has_to_rest(8 * HOUR_MS - 1)
        assert not _ledger(A).has_to_rest(8 * HOUR_MS)
        _ledger(A).expect("idb", B, 8 * HOUR_MS)
        assert not _ledger(A).has_to_rest(0)


def test_another_release_that_works_forgives_nothing():
    with board():
        _rolled_back(1).confirmed("ida")
        assert _ledger(A).holds_back("idb", 0)


def test_giving_up_a_confirmation_leaves_what_is_known():
    with board():
        _ledger(A).confirmed("ida")
        _ledger(A).expect("idb", B)
        _ledger(B).give_up()
        assert _ledger(B).awaited_id() is None
        assert _ledger(B).known_id() is None
        assert _ledger(A).known_id() == "ida"


def test_the_server_s_word_is_checked_against_the_running_release():
    with board():
        found = _ledger(A)
        assert found.contradicts(Version("x", digest=B.digest))
        assert not found.contradicts(Version("x", digest=A.digest))
        assert not found.contradicts(Version("x"))
        found.confirmed("ida")
        assert not found.contradicts(Version("ida"))
        flashed = _ledger(B)
        assert flashed.contradicts(Version("ida")), "another release was flashed since"
        assert not flashed.contradicts(Version("other"))


def test_records_of_any_form_are_survived():
    odd = (
        b"[]",
        b'["id"]',
        b"{}",
        b'{"id": 5, "digest": "x"}',
        b'{"id": "x", "digest": 5}',
        b'{"next": "idb", "failed": 7}',
        b'{"next": {"id": "idb"}, "failed": {"id": "idb"}}',
        b'{"next": {"digest": "bb"}, "failed": []}',
        b'{"next": {"id": 1, "digest": 2}, "failed": {"id": "idb", "digest": null}}',
        b'{"failed": {"id": "other", "digest": "x", "tries": "many"}}',
    )
    for text in odd:
        with board():
            esp32.NVS("keeper").set_blob("release", text)
            found = _ledger(A)
            assert found.known_id() is None, text
            assert found.awaited_id() is None
            assert not found.holds_back("idb", 0)
            assert found.settle(True, "watchdog") is None
            assert not found.contradicts(Version("ida"))
            found.expect("idb", B)
            assert _ledger(B).awaited_id() == "idb"


def test_odd_counts_of_tries_hold_back_as_one():
    for tries in (b"0", b"-3", b'"x"', b"null"):
        with board():
            text = b'{"failed": {"id": "idb", "digest": "%s", "tries": %s}}' % (b"b" * 64, tries)
            esp32.NVS("keeper").set_blob("release", text)
            found = _ledger(A)
            assert found.holds_back("idb", HOUR_MS - 1)
            assert not found.holds_back("idb", HOUR_MS)


def test_a_record_of_a_newer_schema_is_read_and_what_it_adds_is_kept():
    with board() as sim:
        text = b'{"v": 9, "id": "ida", "digest": "%s", "extra": {"x": 1}}' % (b"a" * 64)
        esp32.NVS("keeper").set_blob("release", text)
        found = _ledger(A)
        assert found.known_id() == "ida"
        found.expect("idb", B)
        attach(sim.path)
        assert Store().load("release")["extra"] == {"x": 1}


def test_a_full_nvs_is_told_and_a_release_isn_t_expected_then():
    with board():
        found = _ledger(A)
        fill_nvs()
        with raises(StateError, "NVS is full"):
            found.expect("idb", B)
        assert _ledger(B).awaited_id() is None
