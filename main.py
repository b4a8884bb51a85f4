# Thermokeeper main.py, revision 6
"""Starts the running release's application, and the board again if that ends: a trial release that can't start is left.

Like boot.py it stays on the board for life; pins and settings are the release's, not its own. A confirmed release that
keeps crashing gets its safe mode after three starts that didn't last, and the application three more; after two such
rounds the other slot gets a trial. The starts are counted in RTC memory, which resets and brownouts keep, so it has a
check: b"TK", CRC-32 of what follows, the count, a note of the release: here, why its application ended.

Each KB of this file stays in memory, and is compiled at each start: what a release can do itself is the release's.
"""

try:
    import machine

    # An application that hangs is ended, also while it is imported; once it runs it feeds the watchdog.
    _START_MS = 120_000
    machine.WDT(timeout=_START_MS)
    import gc
    import sys
    import time

    # Collect early and often: what imports leave behind would cut the heap into pieces too small for a 4 KiB block.
    gc.threshold(1024)

    _SAFE_AFTER = 3  # starts of the application that didn't last
    _ROUNDS = 2  # of those and of one start of safe mode
    _PAUSE_MS = 10_000  # long enough to stop it from a terminal

    def _recall():
        """The count, one byte, and the note."""
        from binascii import crc32

        kept = machine.RTC().memory()
        return kept[6:] if len(kept) > 6 and kept[:6] == b"TK" + crc32(kept[6:]).to_bytes(4, "little") else b"\0"

    def _keep(content):
        from binascii import crc32

        machine.RTC().memory(b"TK" + crc32(content).to_bytes(4, "little") + content)

    def _leave(release_in):
        """Give the other slot a trial; an exception says why it gets none. release_in: boot.py's.

        The running release can't be asked, it doesn't start. The rules are those of its updates: what lies there isn't
        below the security version that NVS remembers for its product, and doesn't go by revoked keys only.
        """
        import json

        from esp32 import NVS, Partition

        other = Partition(Partition.RUNNING).get_next_update()
        label, manifest = other.info()[4], release_in(other)[0]
        policy = bytearray(1536)
        try:
            policy = json.loads(policy[: NVS("keeper").get_blob("policy", policy)])
            floors = dict(policy.get("floors") or ())
            floor, revoked = floors.get(manifest["product"], policy.get("rest", 0)), policy.get("revoked") or ()
        except (OSError, ValueError, TypeError, AttributeError):
            floor, revoked = 0, ()  # NVS was lost: what it said is gone for an update, too
        if manifest["security"] < floor:
            raise ValueError("the release in %s is below the security version %d" % (label, floor))
        if not [key for key in manifest.get("trust") or [manifest.get("key")] if key not in revoked]:
            raise ValueError("the release in %s trusts revoked keys only" % label)
        other.set_boot()
        _keep(b"\0" + _recall()[1:])

    deployed_main = globals().pop("deployed_main", None)  # boot.py found what runs instead of all this
    if deployed_main:
        deployed_main()

    _kept = _recall()
    starts = _kept[0]
    # A soft reset is a person's, at the prompt. A brownout looks like a power-on, and is no crash.
    if machine.reset_cause() == machine.PWRON_RESET:
        starts = max(starts, 1)
    elif machine.reset_cause() != machine.SOFT_RESET:
        starts += 1
    _release_in = globals().pop("release_in", None)
    if starts > (_SAFE_AFTER + 1) * _ROUNDS:
        try:
            _leave(_release_in)
        except Exception as error:
            print("tk: main: there is nothing else to start: %s" % error)
            starts = 1
        else:
            print("tk: main: this release doesn't start; the one in the other slot gets a trial")
            machine.reset()
    _keep(bytes([starts]) + _kept[1:])
    del _leave, _release_in
    try:
        from thermometer.wiring import wake
    except ImportError:  # a release needn't have it
        wake = None
    if wake:
        wake()
    if starts and starts % (_SAFE_AFTER + 1) == 0:
        from thermometer.safe import run
    else:
        from thermometer.app import run
    run()
except KeyboardInterrupt:
    import machine

    machine.WDT(timeout=600_000)
    print("tk: main: stopped; the watchdog resets the board in 600 s, machine.WDT(timeout=...) changes that")
    raise
except (Exception, SystemExit) as error:  # sys.exit() would be a soft reset, which leaves a trial on trial
    sys.print_exception(error)
    _keep(_recall()[:1] + ("crash: %s: %s" % (type(error).__name__, error))[:100].encode())
print("tk: main: the application ended; reset in %d s (Ctrl-C stops it)" % (_PAUSE_MS // 1000))
time.sleep_ms(_PAUSE_MS)
machine.reset()
