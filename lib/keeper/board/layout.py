"""How a release lies in its file and in a slot: its parts, their sizes and places. docs/release-format.md.

Pure values, made by `keeper.release` from a header that was checked; must not know how a header is written.
"""

HEADER_SIZE = BLOCK_SIZE = 4096

# of a compressed part: how much of it a chunk stands for, by encoding
REUSING = "blocks"  # made of what the running release has, too: `keeper.reusing`
CHUNK_SIZES = {"deflate": 2048, "deflate4": 4096, REUSING: BLOCK_SIZE}
WINDOW_BITS = {"deflate": 11, "deflate4": 10, REUSING: 10}  # a window of 2 or 1 KiB
REUSING_LIMIT = 256 * BLOCK_SIZE  # of such a part: its index is in memory


class Part:
    """One part: `name`, `size` in the slot and the `sha256` of that; `stored` bytes in the file, `encoding` or None."""

    def __init__(self, name, size, sha256, encoding=None, stored=None):
        self.name = name
        self.size = size
        self.sha256 = sha256
        self.encoding = encoding
        self.stored = size if stored is None else stored


class Layout:
    """What of a manifest an installation goes by (all sizes and offsets in bytes).

    `header_offset` and `fs_offset` are where header and fs go in a slot, of which the release takes `slot_size`;
    `file_size` is the length of the release file, `digest` the release's identity (SHA-256 of the header, hex).
    parts: two tuples of what `Part` takes, "app" and "fs".
    """

    def __init__(self, digest, product, version, chip, security, parts):
        self.digest = digest
        self.product = product
        self.version = version
        self.chip = chip
        self.security = security
        self.parts = [Part(*part) for part in parts]
        self.app, self.fs = self.parts
        self.header_offset = (self.app.size + BLOCK_SIZE - 1) // BLOCK_SIZE * BLOCK_SIZE
        self.fs_offset = self.header_offset + HEADER_SIZE
        self.slot_size = self.fs_offset + self.fs.size
        self.file_size = HEADER_SIZE + self.app.stored + self.fs.stored

    def slot_offset(self, part):
        """Where a part lies in a slot."""
        return self.fs_offset if part is self.fs else 0

    def plain(self):
        """All of it as values that keep no module in memory: `Layout(*plain)` makes it again."""
        parts = [(part.name, part.size, part.sha256, part.encoding, part.stored) for part in self.parts]
        return self.digest, self.product, self.version, self.chip, self.security, parts
