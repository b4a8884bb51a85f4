"""What a release makes a device believe: keys that may sign the next one, keys that never may again, a CA for https.

It is in the generated module `trust`. Of a release that is made already it is read from that module without running
it: a release file may come from anywhere.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from keeper.release import SIGNATURE_SIZE, key_id
from thermokeeper.errors import ToolError
from thermokeeper.release import keys

REVOKED_LIMIT = 16  # a device remembers so many (lib/keeper/release/policy.py)
_ID_SIZE = 16


@dataclass(frozen=True)
class Trust:
    """keys: {id: modulus}; revoked: key ids; ca: certificates as the module has them, or None."""

    keys: dict[str, bytes]
    revoked: tuple[str, ...] = ()
    ca: bytes | None = None


def chosen(trusted: Sequence[Path], revoked: Sequence[str], ca: bytes | None = None) -> tuple[Trust, list[str]]:
    """The trust that options ask for, and what a person should be told of it; ToolError if it makes no sense.

    trusted: public keys; revoked: public keys or key ids. A key that is both is revoked.
    """
    moduli = {key_id(modulus): modulus for modulus in map(keys.load_public, trusted)}
    names = tuple(sorted({_id_of(word) for word in revoked}))
    if len(names) > REVOKED_LIMIT:
        raise ToolError(f"{len(names)} keys are revoked, a device remembers {REVOKED_LIMIT}; leave the oldest out")
    left = {name: modulus for name, modulus in moduli.items() if name not in names}
    if moduli and not left:
        raise ToolError(
            "every trusted key is revoked: no device could take a release after this one; trust another key, too"
        )
    told = [f"key {name} is revoked: --trust doesn't bring it back" for name in moduli if name in names]
    return Trust(left, names, ca), told


def read_trust(files: dict[str, bytes]) -> Trust:
    """What the module `trust` among a release's files says; nothing if there is none or it isn't one of ours."""
    if "trust.py" in files:
        return _from_source(files["trust.py"])
    values = list(_constants(files.get("trust.mpy", b"")))
    moduli = [value for value in values if isinstance(value, bytes) and len(value) == SIGNATURE_SIZE]
    found = {key_id(modulus): modulus for modulus in moduli}
    # In the bytecode it doesn't show which text is whose: what names none of the keys is a revoked one.
    names = {value for value in values if isinstance(value, str) and _is_id(value) and value not in found}
    others = [value for value in values if isinstance(value, bytes) and len(value) != SIGNATURE_SIZE]
    return Trust(found, tuple(sorted(names)), others[0] if others else None)


def _id_of(word: str) -> str:
    if _is_id(word):
        return word
    if not Path(word).exists():
        raise ToolError(f"--revoke {word}: neither a public key (*.pub.pem) nor a key id (16 hex digits)")
    return key_id(keys.load_public(Path(word)))


def _is_id(text: str) -> bool:
    return len(text) == _ID_SIZE and set(text) <= set("0123456789abcdef")


def _from_source(content: bytes) -> Trust:
    found = {}
    try:
        for node in ast.parse(content).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = ast.literal_eval(node.value)
        return Trust(dict(found.get("KEYS", {})), tuple(found.get("REVOKED", ())), found.get("CA"))
    except (ValueError, SyntaxError, TypeError):
        return Trust({})


def _constants(content: bytes) -> Iterator[str | bytes]:
    """Texts and bytes in the constant tables of a compiled module (.mpy, version 6); nothing of anything else."""
    if content[:2] != b"M\x06":
        return
    reader = _Reader(content, 4)
    try:
        counts = reader.number(), reader.number()
        for _ in range(counts[0]):
            size = reader.number()
            if not size & 1:  # else the number of a word that every MicroPython knows
                yield reader.take((size >> 1) + 1)[:-1].decode()
        for _ in range(counts[1]):
            yield from reader.value()
    except (IndexError, UnicodeDecodeError):
        return


class _Reader:
    """Takes an .mpy file's tables apart (MicroPython's py/persistentcode.c)."""

    _TEXT, _BYTES, _TUPLE = 5, 6, 10
    _WITHOUT_VALUE = (0, 1, 2, 3, 4)

    def __init__(self, content: bytes, position: int) -> None:
        self._content = content
        self._position = position

    def number(self) -> int:
        """Seven bits in each byte, the highest first."""
        value = 0
        while True:
            byte = self.take(1)[0]
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                return value

    def take(self, size: int) -> bytes:
        piece = self._content[self._position : self._position + size]
        if len(piece) != size:
            raise IndexError("the file ends in a table")
        self._position += size
        return piece

    def value(self) -> Iterator[str | bytes]:
        kind = self.take(1)[0]
        if kind in self._WITHOUT_VALUE:
            return
        size = self.number()
        if kind == self._TUPLE:
            for _ in range(size):
                yield from self.value()
            return
        data = self.take(size + 1)[:-1] if kind in (self._TEXT, self._BYTES) else self.take(size)
        if kind == self._TEXT:
            yield data.decode()
        elif kind == self._BYTES:
            yield data
