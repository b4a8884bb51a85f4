"""Records in the partition `data`: whatever a power cut leaves, what was kept last or before that is there."""

from keeper.errors import StateError
from keeper.keeping import LIMIT, erase, load, save
from support import raises
from support_flash import SECTOR, Ended, attach, board

DATA = 0x40000
MOMENTS = ("before", "middle", "after")


def _save(sim, number, content, cut=None):
    """Save in a new life of the board, which may be cut: (operation, moment, seed); how many operations it took."""
    cuts = [{"operation": cut[0], "moment": cut[1], "seed": cut[2]}] if cut else []
    sim = attach(sim.path, settings={"cuts": cuts})
    try:
        save(number, content)
    except Ended:
        assert cut
    return sim.operations


def test_what_is_kept_is_there_in_the_next_life_and_other_records_are_left_alone():
    with board() as sim:
        assert load(0) is None and load(1) is None and load(2) is None
        for number, content in ((0, b"networks"), (1, b"r" * LIMIT), (2, b""), (0, b"others")):
            _save(sim, number, content)
            attach(sim.path)
            assert load(number) == content
        assert (load(0), load(1), load(2)) == (b"others", b"r" * LIMIT, b"")


def test_saving_what_is_there_already_wears_nothing():
    with board() as sim:
        assert _save(sim, 0, b"networks") > 0
        assert _save(sim, 0, b"networks") == 0


def test_sectors_take_turns():
    with board() as sim:
        for content in (b"one", b"two", b"three", b"four"):
            before = _sectors(sim)
            _save(sim, 0, content)
            changed = [now != then for now, then in zip(_sectors(sim), before)]
            assert changed == ([True, False] if content in (b"one", b"three") else [False, True]), content


def test_a_power_cut_anywhere_leaves_what_was_kept_before_or_what_is_kept_now():
    for contents in ((b"before", b"now"), (b"b" * LIMIT, b"n"), (b"", b"n" * LIMIT)):
        with board() as sim:
            _save(sim, 1, b"long ago")
            _save(sim, 1, contents[0])
            sectors = _sectors(sim, 1)
            operations = _save(sim, 1, contents[1])
            assert operations == 3, "erased, the content, the head"
            for operation in range(operations):
                for moment in MOMENTS:
                    for seed in range(4):
                        _write(sim, DATA + 2 * SECTOR, sectors)
                        _save(sim, 1, contents[1], (operation, moment, seed))
                        attach(sim.path)
                        whole = operation == operations - 1 and moment == "after"
                        found = load(1)
                        assert found in ((contents[1],) if whole else contents), (operation, moment, seed)
                        _save(sim, 1, b"later")
                        assert load(1) == b"later", (operation, moment, seed)


def test_a_damaged_sector_does_not_count():
    with board() as sim:
        _save(sim, 0, b"one")
        _save(sim, 0, b"two")
        for address, expected in ((DATA + SECTOR + 21, b"one"), (DATA + 8, None)):
            with open(sim.path, "r+b") as file:
                file.seek(address)
                byte = file.read(1)
                file.seek(address)
                file.write(bytes([byte[0] ^ 1]))
            attach(sim.path)
            assert load(0) == expected


def test_what_is_forgotten_stays_forgotten():
    with board() as sim:
        _save(sim, 0, b"one")
        _save(sim, 0, b"two")
        erase(0)
        attach(sim.path)
        assert load(0) is None


def test_what_does_not_fit_is_refused_before_anything_is_erased():
    with board() as sim:
        _save(sim, 0, b"one")
        attach(sim.path)
        with raises(StateError, "4077 bytes, 4076 fit"):
            save(0, b"x" * (LIMIT + 1))
        assert load(0) == b"one"


def _sectors(sim, number=0):
    """The two sectors of a record."""
    with open(sim.path, "rb") as file:
        file.seek(DATA + 2 * SECTOR * number)
        return [file.read(SECTOR), file.read(SECTOR)]


def _write(sim, address, parts):
    with open(sim.path, "r+b") as file:
        file.seek(address)
        for part in parts:
            file.write(part)
