"""boot.py and main.py are renewed by a newer revision only, whole or not at all."""

import os

from keeper.settling import bootfiles
from support import read_file, temp_dir, write_file

OLD = b"# Thermokeeper boot.py, revision 1\nprint('old')\n"
NEW = b"# Thermokeeper boot.py, revision 12\n" + b"print('new')\n" * 100


def folders(root, there, brought):
    """A board's root and a release's folder, each with a boot.py (None: without)."""
    board, release = root + "/board", root + "/release"
    for folder, content in ((board, there), (release, brought)):
        os.mkdir(folder)
        if content is not None:
            write_file(folder + "/boot.py", content)
    return release, board


def renewed(there, brought):
    with temp_dir() as root:
        release, board = folders(root, there, brought)
        bootfiles.renew(release, board)
        names = sorted(os.listdir(board))
        return names, read_file(board + "/boot.py") if "boot.py" in names else None


def test_a_newer_revision_replaces_the_older_one():
    assert renewed(OLD, NEW) == (["boot.py"], NEW)


def test_an_older_or_equal_revision_replaces_nothing():
    assert renewed(NEW, OLD) == (["boot.py"], NEW)
    assert renewed(OLD, OLD.replace(b"old", b"another")) == (["boot.py"], OLD)


def test_a_file_without_a_revision_is_older_than_any_that_has_one():
    assert renewed(b"print('by hand')\n", OLD) == (["boot.py"], OLD)
    assert renewed(None, OLD) == (["boot.py"], OLD)


def test_a_release_that_brings_no_boot_files_changes_nothing():
    assert renewed(OLD, None) == (["boot.py"], OLD)
    assert renewed(OLD, b"# Thermokeeper boot.py, revision x\n") == (["boot.py"], OLD)
    assert renewed(OLD, b"") == (["boot.py"], OLD)


def test_what_a_cut_left_half_copied_is_written_anew():
    with temp_dir() as root:
        release, board = folders(root, OLD, NEW)
        write_file(board + "/boot.py.new", NEW[:50])
        bootfiles.renew(release, board)
        assert read_file(board + "/boot.py") == NEW
        assert os.listdir(board) == ["boot.py"]


def test_a_file_system_that_refuses_leaves_the_old_file_and_the_board_goes_on():
    with temp_dir() as root:
        release, board = folders(root, OLD, NEW)
        os.mkdir(board + "/boot.py.new")  # so the copy can't be written
        bootfiles.renew(release, board)
        assert read_file(board + "/boot.py") == OLD
        os.rmdir(board + "/boot.py.new")
