"""One life of a board on CPython in a process of its own: `python -m` this module, told by TK_SIM_*."""

import sys

from thermokeeper.simulator.on_cpython.sandbox import Sandbox


def say(line: str) -> None:
    """A line of the board's console."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    Sandbox.from_environment(say, sys.stdin.fileno()).run()
