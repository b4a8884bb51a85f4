"""`_simstart` for a board whose console is a terminal: when main.py is over, or was stopped, there is the prompt.

Run as `micropython -i -c "import _simprompt"`. As on a board, boot.py, main.py and the prompt share their names.
"""

import _sim
import _simboot

import __main__

_board = _sim.board()
_end = _board.end
_boot = _simboot.boot


def _end_or_prompt(line):
    if line != "repl":
        _end(line)


def _boot_in_main(board, Partition, vfs, os, run):
    _boot(board, Partition, vfs, os, lambda name, scope: run(name, __main__.__dict__))


_board.end = _end_or_prompt
_simboot.boot = _boot_in_main

import _simstart  # noqa: E402, F401
