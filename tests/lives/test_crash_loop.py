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
