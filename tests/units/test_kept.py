"""What is kept of slow work is what was made of the same content, and losing it costs time only."""

from pathlib import Path

import pytest

from thermokeeper.kept import kept


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "thermokeeper" / "compiled"


class Work:
    def __init__(self) -> None:
        self.done: list[bytes] = []

    def of(self, kind: str, content: bytes) -> bytes:
        def make() -> bytes:
            self.done.append(content)
            return b"made of " + content

        return kept(kind, content, make)


def test_the_same_content_is_worked_on_once(folder: Path) -> None:
    work = Work()
    assert [work.of("a 1", b"x") for _ in range(3)] == [b"made of x"] * 3
    assert work.done == [b"x"]
    assert folder.stat().st_mode & 0o077 == 0, "what is kept goes into signed releases"
    assert [path.read_bytes() for path in folder.iterdir()] == [b"made of x"]


def test_another_content_or_kind_is_work_of_its_own() -> None:
    work = Work()
    for kind, content in (("a 1", b"x"), ("a 1", b"y"), ("a 2", b"x")):
        assert work.of(kind, content) == b"made of " + content
    assert len(work.done) == 3


def test_a_folder_that_can_t_be_used_costs_time_only(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file in its place")
    work = Work()
    assert [work.of("a 1", b"x") for _ in range(2)] == [b"made of x"] * 2
    assert len(work.done) == 2


def test_work_that_fails_leaves_nothing(folder: Path) -> None:
    def make() -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept("a 1", b"x", make)
    assert not folder.exists()
