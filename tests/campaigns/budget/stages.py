"""A board's life in stages, each left at the fullest moment that it has: what is in memory then is counted.

Device code: it takes the place of `thermometer.safe` in a release, and is merged with it. A stage leaves in `held` what
would be on the stack at that moment, because the counting MicroPython collects only when nothing runs. `over` lets go
what a stage loaded. In the order of lib/, see docs/memory.md.
"""

_ETAG = '"%s"' % ("0" * 40)

held = None
_thermometer = None


def idle():
    """The board is activated, its reading delivered, its release up to date: it waits."""
    global _thermometer
    from thermometer.app import Thermometer
    from thermometer.station import hardware

    _thermometer = Thermometer(hardware.build())
    life = _thermometer.lifecycle
    if not life.active():
        raise ValueError("the board isn't activated")
    life.step()
    if life.last_sync_ms is None or life.current is None:
        raise ValueError("the board isn't up to date")


def settling():
    """The board has just started: it looks at what runs."""
    global held
    from keeper import release, settling  # noqa: F401
    from keeper.board.slots import Slots
    from keeper.imaging import length  # noqa: F401
    from keeper.nvs.state import Store
    from keeper.remembering.ledger import Ledger

    life = _thermometer.lifecycle
    header = bytearray(release.HEADER_SIZE)
    slots = Slots()
    slots.running.read(slots.running.header_offset(), header)
    held = header, slots, release.parse(header), release.brought(), Ledger(Store(), *life.running)


def joining():
    """The board gets its key."""
    global held
    life = _thermometer.lifecycle
    held = life.standing.describe(), life.cloud.activate


def following():
    """What the server wants isn't what runs."""
    global held
    from keeper import changing  # noqa: F401
    from keeper.board.slots import Slots
    from keeper.nvs.state import Store
    from keeper.remembering.ledger import Ledger

    life = _thermometer.lifecycle
    held = Slots(), Ledger(Store(), *life.running), life.cloud.current()


def admitting():
    """A release's signature is checked."""
    global held
    from keeper import (
        admitting,  # noqa: F401
        release,
    )
    from keeper.board.slots import Slots
    from keeper.nvs.state import Store

    life = _thermometer.lifecycle
    life.cloud.rest()
    header = bytearray(release.HEADER_SIZE)
    slots = Slots()
    slots.running.read(slots.running.header_offset(), header)
    keys, revoked, _ = release.brought()
    policy = release.Policy(life.standing.product, keys, revoked, Store(), life.now)
    held = header, slots, policy, release.parse(header), pow(3, 65537, 1 << 3071)


def raw():
    """A release arrives as it is."""
    _update(True)


def text():
    """A release arrives as base64 in JSON."""
    _update(False)


def compressed():
    """A release arrives compressed."""
    _inflate(True)


def compressed_text():
    """The same as base64 in JSON."""
    _inflate(False)


def blocks():
    """The file system of a compressed release arrives, as far as the board hasn't got it."""
    _reuse(True)


def blocks_text():
    """The same as base64 in JSON."""
    _reuse(False)


def _reuse(is_raw):
    global held
    from keeper.reusing import Blocks

    download, layout, scrap = _update(is_raw)
    # The board has none of its blocks: each has to be fetched and inflated.
    source = Blocks(download, layout.fs, 0, 4096 + layout.app.stored, scrap, None, _thermometer.pulse)
    source.fill(scrap[:1024])  # in the middle of one: its window and tables are there
    held += (source,)


def _inflate(is_raw):
    global held
    from keeper.inflating import Chunks

    download, layout, scrap = _update(is_raw)
    chunks = Chunks(download, layout.app, 0, len(scrap))
    chunks.fill(scrap[:1024])  # in the middle of one: its window and tables are there
    held += (chunks,)


def _update(is_raw):
    global held
    import socket
    import sys

    from keeper.board.layout import Layout
    from keeper.board.slots import Slots
    from keeper.phases import end
    from keeper.updating.checkpoint import Checkpoint
    from keeper.updating.download import Download
    from keeper.updating.installer import Installer
    from keeper.updating.transaction import _Progress

    life = _thermometer.lifecycle
    socket.raw = is_raw
    life.cloud.raw = True  # a board asks for raw firmware first, and learns that there is none
    slots = Slots()
    header = memoryview(bytearray(4096))
    slots.running.read(slots.running.header_offset(), header)
    from keeper import release

    plain = release.parse(header).plain()
    end()
    life.cloud.rest()
    layout = Layout(*plain)
    download = Download(life.cloud, "7", layout.file_size, _ETAG if is_raw else None, is_raw)
    installer = Installer(slots, Checkpoint(), life.pulse, _Progress())
    download.seek(len(header), header)
    if not layout.app.encoding:
        download.fill(header)
    for name in ("keeper.services.streaming", "keeper.services.enclosing") if not is_raw else ():
        if name in sys.modules:
            raise ValueError("%s is in memory beside the text" % name)
    held = life, download, installer, layout, plain
    return download, layout, header


def typing():
    """Somebody types a command."""
    global held
    from thermometer.typing import begin

    begin(_thermometer._typed)
    held = _thermometer._commands().table()


def over():
    """The board waits again."""
    global held
    from keeper import console
    from keeper.phases import end

    held = _thermometer._typed.line = None
    console.share(None)
    end("thermometer.settling", "thermometer.joining", "thermometer.asking", "thermometer.typing", "keeper.typing")
    _thermometer.lifecycle.cloud.rest()
