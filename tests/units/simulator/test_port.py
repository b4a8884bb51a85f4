"""The cable to a simulated board: what is typed arrives, and no second Ctrl-C before the first was seen."""

import os
import select

import pytest

from thermokeeper.simulator import port as cable

LONG_S = 10  # more than a busy machine needs to carry a byte


@pytest.fixture
def board(monkeypatch):
    """(what is typed at the far end of a port, what the board hears, the port)"""
    monkeypatch.setattr(cable, "_INTERRUPTS_APART_S", 0)
    monkeypatch.setattr(cable, "_INTERRUPT_SEEN_S", LONG_S)
    hears, says = os.pipe()
    with cable.Port() as port:
        typist = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
        port.attach(says)
        yield typist, hears, port
        port.detach(says)
        port.tell(b"KeyboardInterrupt")  # nothing waits for an answer any more
        os.close(typist)
    os.close(hears)
    os.close(says)


def heard(hears, within_s):
    ready, _, _ = select.select([hears], [], [], within_s)
    return os.read(hears, 1) if ready else b""


def test_a_second_interrupt_waits_until_the_board_has_seen_the_first(board):
    typist, hears, port = board
    os.write(typist, b"\x03\x03")
    assert heard(hears, LONG_S) == b"\x03"
    assert heard(hears, 1) == b""  # the board hasn't seen it yet
    port.tell(b"KeyboardInterrupt: \n>>> ")
    assert heard(hears, LONG_S) == b"\x03"


def test_what_is_typed_between_interrupts_arrives_in_order(board):
    typist, hears, _ = board
    os.write(typist, b"a\x03b\n")
    assert b"".join(heard(hears, LONG_S) for _ in range(4)) == b"a\x03b\n"


def test_what_a_board_says_meanwhile_is_no_answer_to_an_interrupt(board):
    typist, hears, port = board
    os.write(typist, b"\x03")
    assert heard(hears, LONG_S) == b"\x03"
    for said in (b"tk: reading: 21.31 C\n", b"Traceback (most recent call last):\n"):
        port.tell(said)
        assert not port.seen()


@pytest.mark.parametrize(
    "pieces",
    [(b"tk: reading\nKeyboard", b"Interrupt: \n"), (b"\n>", b">> "), (b"raw REPL; CTRL-B to exit\n",)],
    ids=("traceback", "prompt", "raw prompt"),
)
def test_that_an_interrupt_was_seen_shows_also_in_pieces(board, pieces):
    typist, hears, port = board
    os.write(typist, b"\x03")
    assert heard(hears, LONG_S) == b"\x03"
    assert not port.seen()
    for said in pieces:
        port.tell(said)
    assert port.seen()


def test_a_board_that_starts_anew_has_no_interrupt_to_see(board):
    typist, hears, port = board
    os.write(typist, b"\x03")
    assert heard(hears, LONG_S) == b"\x03"
    another, board_end = os.pipe()
    port.attach(board_end)
    assert port.seen()
    os.write(typist, b"\x03")
    assert heard(another, LONG_S) == b"\x03"
    port.detach(board_end)
    os.close(another)
    os.close(board_end)
