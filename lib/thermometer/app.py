"""The thermometer: measures on a period, delivers what it measured, and lets keeper look after the rest.

Everything meets here: hardware, sensor, Wi-Fi and keeper's life cycle, each built once and handed to those who need
it. One thread of control; whatever waits calls `Application.pulse`, which measures and feeds the watchdog, so that
neither a download nor a dead network leaves a gap in the readings.
"""

import gc
import time

from keeper import clouds, identity
from keeper.activation import Activation
from keeper.console import say
from keeper.errors import KeeperError
from keeper.http import Client
from keeper.installer import Installer
from keeper.ledger import Ledger
from keeper.lifecycle import Lifecycle
from keeper.slots import Slots
from keeper.state import Store
from thermometer import hardware
from thermometer.clock import Clock, Uptime
from thermometer.display import show
from thermometer.health import Health
from thermometer.outbox import Outbox
from thermometer.reporter import Reporter
from thermometer.sampler import Sampler
from thermometer.sensor import Sensor
from thermometer.wifi import Wifi

THING_NAME = "ThermometerDevice"
_WATCHDOG_MS = 60_000  # longer than a name look-up that fails, the longest wait without a pulse
_TRIAL_MS = 10 * 60_000
_STEP_MS = 100

# Settings that a factory record may carry: (seconds without one, least, most).
SETTINGS = {
    "period_s": (30, 1, 3600),
    "report_s": (60, 1, 3600),
    "sync_s": (900, 1, 86_400),
    "alive_s": (20, 0, 300),
}


def settings_from(record):
    """Settings in milliseconds, from a factory record's members; what is missing or out of bounds is the default."""
    found = {}
    for name, (default, least, most) in SETTINGS.items():
        value = record.get(name)
        if type(value) not in (int, float) or not least <= value <= most:
            value = default
        found[name] = int(value * 1000)
    return found


class Application:
    """One thermometer. `board` is what `hardware.build` returns."""

    def __init__(self, board):
        self._board = board
        self._trial_deadline_ms = None
        self._shown = 0
        self._lifecycle = None
        board.start_watchdog(_WATCHDOG_MS)
        slots = Slots()
        if slots.on_trial():
            self._trial_deadline_ms = time.ticks_add(time.ticks_ms(), _TRIAL_MS)
        found = self._identify()
        settings = settings_from(found.extra if found else {})
        uptime = Uptime()
        self._outbox = Outbox(uptime=uptime)
        self._clock = Clock(uptime, board.set_rtc)
        self._sampler = Sampler(Sensor(board.bus, board.line), self._outbox, settings["period_s"])
        self._health = Health(settings["alive_s"])
        if found:
            self._build(found, slots, settings)

    def step(self):
        """One turn: at most one exchange with the server, then a short wait."""
        self.pulse()
        if self._lifecycle and self._wifi.poll():
            self._health.network_ok = True
            self._clock.keep()
            self._lifecycle.step()
            self._reporter.step()
        time.sleep_ms(_STEP_MS)

    def pulse(self):
        """Called by whatever waits, at least four times a second: measures when it is time, keeps the watchdog quiet."""
        self._sampler.poll()
        if self._sampler.count != self._shown:
            self._shown = self._sampler.count
            show(self._sampler.last_value)
        # A trial that has not passed in time isn't fed any more, whatever it is doing: the reset leaves it.
        if self._trial_deadline_ms is None or time.ticks_diff(self._trial_deadline_ms, time.ticks_ms()) > 0:
            self._board.feed()

    # what the life cycle asks of a product

    def healthy(self):
        """"" when this release has shown that it works, else what it hasn't shown yet; asked when the server answered."""
        self._health.server_ok = True
        self._health.sensor_ok = self._sampler.sensor_ok
        if not self._health.ok(time.ticks_ms()):
            return self._health.missing()
        self._trial_deadline_ms = None
        return ""

    def before_reset(self):
        """Deliver the readings that a reset would lose."""
        self._reporter.flush()

    def reset(self):
        """Restart the board."""
        self._board.reset()

    def _identify(self):
        try:
            found = identity.read()
            self._driver = clouds.driver(found.service)
        except KeeperError as error:
            say("identity", "%s; it only measures" % error)
            return None
        say("identity", "%s, serial %s" % (found.product, found.serial))
        return found

    def _build(self, found, slots, settings):
        client = Client(self.pulse, ca=found.extra.get("ca"), on_date=self._clock.learn)
        cloud = self._driver(client, found.server)
        self._wifi = Wifi(self._board.wlan, _networks(), self.pulse, say)
        store = Store()
        installer = Installer(slots, _trusted_keys(), found.product, self.pulse, _Progress())
        running = installer.manifest_in(slots.running)
        activation = Activation(found, store, cloud, THING_NAME)
        self._lifecycle = Lifecycle(
            activation, Ledger(store, running), slots, installer, cloud, self, settings["sync_s"]
        )
        self._reporter = Reporter(self._outbox, self._clock, self._lifecycle, settings["report_s"])
        self._lifecycle.begin(running.version if running else "unknown")


class _Progress:
    """Says how far a download is, at each twentieth of it."""

    def __init__(self):
        self._said = -1

    def __call__(self, done, total):
        twentieth = done * 20 // total
        if twentieth != self._said:
            self._said = twentieth
            say("download", "%d%% of %d KiB" % (twentieth * 5, total // 1024))


def _networks():
    """The Wi-Fi networks that NVS holds."""
    try:
        found = Store("wifi").load("networks")
    except KeeperError as error:
        say("wifi", str(error))
        return []
    return [network for network in found if isinstance(network, dict)] if isinstance(found, list) else []


def _trusted_keys():
    """The public keys that came with this release."""
    try:
        from trust import KEYS
    except ImportError:
        say("trust", "this release brings no keys: every update will be refused")
        return {}
    return KEYS


def run():
    """Run for ever."""
    application = Application(hardware.build())
    gc.collect()
    while True:
        application.step()
