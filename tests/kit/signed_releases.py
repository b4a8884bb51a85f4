"""Small releases that are right in all that a board looks at, signed with keys of the tests' own, for any product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import images
from release_support import CREATED, write_test_key
from thermokeeper.release import builder, keys
from thermokeeper.release.application import trust_module
from thermokeeper.release.filesystem import pack_smallest


class Press:
    """A folder with keys by name ("ours" is there already), and what is made with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}
        self._paths["ours"] = write_test_key(folder)[0]

    def key(self, name: str) -> Path:
        """The private key of that name, made when it is first asked for."""
        if name not in self._paths:
            self._paths[name] = self._folder / f"{name}.pem"
            keys.generate(self._paths[name], None)
        return self._paths[name]

    def public(self, name: str = "ours") -> Path:
        return self.key(name).with_suffix(".pub.pem")

    def modulus(self, name: str = "ours") -> bytes:
        return keys.load_public(self.public(name))

    def release(
        self,
        product: str,
        version: str = "1.0.0",
        signed: str | None = "ours",
        trusts: tuple[str, ...] = ("ours",),
        revokes: tuple[str, ...] = (),
        app: bytes | None = None,
        files: dict[str, bytes] | None = None,
        **fields: Any,
    ) -> bytes:
        """A release file; signed: with the key of that name, or not at all. fields: what else `builder.build` takes."""
        content = dict(files or {"edition.txt": version.encode()})
        if trusts:
            content |= trust_module([self.modulus(name) for name in trusts], False, revokes, None)
        settings: dict[str, Any] = {"chip": "esp32", "security": 1, "created": CREATED} | fields
        data = builder.build(
            app or images.application(20000), pack_smallest(content), product=product, version=version, **settings
        )
        return builder.sign(data, keys.load_private(self.key(signed), str)) if signed else data
