"""What a release on trial must have shown before it may confirm itself, so that a broken one is rolled back.

Others set the facts once they have seen them in this boot; this module only adds up. It must not reach for anything.
"""

import time

NO_SERVER = "server not reached with the stored key"


class Health:
    """Facts: `sensor_ok` a temperature was read, `network_ok` Wi-Fi was up, `server_ok` the server accepted our key,
    `report_ok` it took a reading.

    The board must also have lived for `min_alive_ms` since this object was made. Times are ticks_ms; a question at
    least every 6 days keeps count of them.
    """

    def __init__(self, min_alive_ms, now=time.ticks_ms):
        self.min_alive_ms = min_alive_ms
        self.sensor_ok = False
        self.network_ok = False
        self.server_ok = False
        self.report_ok = False
        self._now = now
        self._last_ms = now()
        self._lived_ms = 0

    def ok(self, now_ms=None):
        """Whether nothing is missing any more (at `now_ms`, else now)."""
        return not self.missing(now_ms)

    def missing(self, now_ms=None):
        """What is still missing, for a person: "no temperature read, 12 s too young"; "" if nothing is."""
        if now_ms is None:
            now_ms = self._now()
        self._lived_ms += time.ticks_diff(now_ms, self._last_ms)
        self._last_ms = now_ms
        reasons = []
        if not self.sensor_ok:
            reasons.append("no temperature read")
        if not self.network_ok:
            reasons.append("no network")
        if not self.server_ok:
            reasons.append(NO_SERVER)
        if not self.report_ok:
            reasons.append("no reading accepted")
        left_ms = self.min_alive_ms - self._lived_ms
        if left_ms > 0:
            reasons.append("%d s of life" % (self.min_alive_ms // 1000))
        return ", ".join(reasons)
