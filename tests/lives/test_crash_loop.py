"""A confirmed release that keeps crashing doesn't cost the board: there is safe mode, and then the other slot."""

from lives.kit import FOR_HOURS, Life

APP_CRASHES = (
    (
        "thermometer/app.py",
        "    thermometer = Thermometer",
        '    raise ValueError("a bug")\n    thermometer = Thermometer',
    ),
)
# Works while it is on trial, and in no start after it; safe mode is built on the same module.
_ASKS = "        if _on_trial():\n"
_BUG = '        if not _on_trial():\n            raise ValueError("a bug that shows late")\n'
CRASHES_ONCE_CONFIRMED = (("thermometer/settling/beginning.py", _ASKS, _BUG + _ASKS),)
# The same, but safe mode works.
_EXCUSES = "        self._excused = "
_ITS_BUG = '        if not self.lifecycle.on_trial:\n            raise ValueError("a bug of the application")\n'
APP_CRASHES_ONCE_CONFIRMED = (("thermometer/app.py", _EXCUSES, _ITS_BUG + _EXCUSES),)


@FOR_HOURS
def test_a_release_whose_application_crashes_at_every_start_still_takes_an_update(life: Life) -> None:
    release = life.company.foundry.release("1.0.1", life.runtime.source, APP_CRASHES)
    life.made(release)
    life.company.publish("2.0.0")
    life.boots()
    life.says("safe", "updates are looked after")
    life.board.type("status")
    life.says("status", "^last_crash reset; crash: ValueError: a bug$")
    assert life.happened("reset") == 3
    life.says("slot", "2.0.0, on trial")
    life.says("confirm")
    assert life.version == "2.0.0"
    life.measures(2)


@FOR_HOURS
def test_a_release_that_crashes_in_safe_mode_too_gives_way_to_the_other_slot(life: Life) -> None:
    life.made()
    life.company.publish("1.0.0")
    life.boots()
    life.says("confirm")
    life.publish("2.0.0", CRASHES_ONCE_CONFIRMED)
    life.says("slot", "2.0.0, on trial")
    life.says("confirm")
    life.off()
    life.boots()
    life.says("slot", "1.0.0, on trial")
    assert any("gets a trial" in event.text for event in life.events)
    life.says("rollback", "2.0.0 didn't prove itself: reset; crash: ValueError: a bug that shows late")
    life.says("trial", "passed")
    life.says("confirm", life.company.versions["1.0.0"].id)
    life.says("version", "not tried again now")
    assert life.version == "1.0.0", "the server knows what runs"
    life.measures(2)
    life.publish("3.0.0")
    life.says("slot", "3.0.0, on trial")
    life.says("confirm")
    assert life.version == "3.0.0"


@FOR_HOURS
def test_a_release_that_safe_mode_can_not_help_is_left_and_the_server_told_why_and_what_runs(life: Life) -> None:
    life.made()
    life.company.publish("1.0.0")
    life.boots()
    life.says("confirm")
    life.publish("2.0.0", APP_CRASHES_ONCE_CONFIRMED)
    life.says("confirm", life.company.versions["2.0.0"].id)
    life.off()
    life.boots()
    for _ in range(2):
        life.says("safe", "keeps crashing")
        life.says("safe", "tried again")
    life.says("slot", "1.0.0, on trial")
    life.says("rollback", "2.0.0 didn't prove itself: reset; crash: ValueError: a bug of the application")
    life.says("confirm", life.company.versions["1.0.0"].id)
    life.says("version", "not tried again now")
    assert life.version == "1.0.0"
    (failure,) = [found.value for found in life.thing.properties if found.name == "updateFailure"]
    assert "a bug of the application" in str(failure)
