"""The console's other direction: lines that somebody types, and commands. A phase: loaded when somebody types."""

from keeper.typing.commands import Commands, split  # noqa: F401
from keeper.typing.lineinput import LINE_LIMIT, LineInput  # noqa: F401
