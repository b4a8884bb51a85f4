"""What a board's `machine` has that is asked for when it starts."""

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5


def reset_cause():
    return PWRON_RESET


class Pin:
    def __init__(self, number):
        pass


class WDT:
    def __init__(self, timeout):
        pass

    def feed(self):
        pass


class RTC:
    def memory(self, value=None):
        return b"TK\x01"

    def datetime(self, value=None):
        return 2026, 11, 26, 3, 12, 0, 0, 0
