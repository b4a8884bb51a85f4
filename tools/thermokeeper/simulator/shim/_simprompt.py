"""`_simstart` for a board whose console is a terminal: when main.py is over, or was stopped, there is the prompt.

Run as `micropython -i -c "import _simprompt"`. As on a board, boot.py, main.py and the prompt share their names, and a
soft reset at the raw prompt leads back to it without main.py: that is how mpremote begins.
"""

import os
import sys

import _sim
import _simboot
import micropython

import __main__


class _Keys:
    """`micropython`; its kbd_intr leaves it to the terminal: the Unix port would end at a Ctrl-C that isn't taken."""

    def __getattr__(self, name):
        return getattr(micropython, name)

    def kbd_intr(self, character):
        os.system("stty isig" if character == 3 else "stty -isig")


sys.modules["micropython"] = _Keys()

_board = _sim.board()
_end = _board.end
_boot = _simboot.boot
_raw = os.getenv("TK_SIM_RAW")


def _end_or_prompt(line):
    if line != "repl":
        _end(line)


def _boot_in_main(board, Partition, vfs, os, run):
    def run_here(name, _):
        return _raw and name == "main.py" or run(name, __main__.__dict__)

    _boot(board, Partition, vfs, os, run_here)


_board.end = _end_or_prompt
_simboot.boot = _boot_in_main

import _simstart  # noqa: E402, F401
