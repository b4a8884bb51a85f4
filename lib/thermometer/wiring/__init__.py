"""The board's hardware: what it begins by itself, and what an application is given. A phase, over then."""

from thermometer.wiring.pins import build  # noqa: F401
from thermometer.wiring.waking import wake  # noqa: F401
