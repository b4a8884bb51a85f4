"""The thermometer's commands. A phase: loaded when somebody types."""

from thermometer.typing.commands import StationCommands  # noqa: F401
from thermometer.typing.dialogue import answer, begin  # noqa: F401
