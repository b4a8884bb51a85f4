"""A phase is forgotten whole when it ends, and nothing else with it."""

import sys

from keeper import phases


def _loaded(folder):
    return [name for name in sys.modules if name == folder or name.startswith(folder + ".")]


def test_a_folder_is_forgotten_with_all_that_is_in_it_and_its_name_in_the_package():
    import keeper
    from keeper.board.slots import align

    assert align(1) == 4096
    assert _loaded("keeper.board")
    phases.forget("keeper.board")
    assert not _loaded("keeper.board")
    assert not hasattr(keeper, "board")
    assert "keeper.errors" in sys.modules, "what is always in memory stays"


def test_what_was_forgotten_can_be_loaded_again():
    phases.forget("keeper.nvs")
    from keeper.nvs.state import RECORD_LIMIT

    assert RECORD_LIMIT == 1536
    assert _loaded("keeper.nvs")


def test_a_name_that_only_begins_alike_is_another_one():
    import keeper.services.answers  # noqa: F401

    phases.forget("keeper.service")
    assert "keeper.services" in sys.modules


def test_forgetting_what_was_never_loaded_is_no_error():
    phases.forget("keeper.nothing", "trust")


def test_the_end_of_a_phase_leaves_no_phase_of_keeper_loaded():
    from keeper import release, settling, updating

    assert release and settling and updating
    phases.end()
    for folder in ("board", "changing", "factory", "nvs", "release", "remembering", "settling", "trusting", "updating"):
        assert not _loaded("keeper." + folder), folder
