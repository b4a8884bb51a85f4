"""A Wi-Fi network is chosen and joined. A phase: loaded while the board has none."""

from thermometer.joining.networks import load, save  # noqa: F401
from thermometer.joining.wifi import Wifi  # noqa: F401
