"""From a line of a merged module back to the file, the line and the function that were written; whole tracebacks, too.

The map lies beside the release file, for people: a device never sees it. It must not know how modules are merged.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from thermokeeper.errors import ToolError

FORMAT = 1
_FRAME = re.compile(r'(File ")([^"]+)(", line )(\d+)(?:(, in )(\S+))?')
_SHORT = re.compile(r"(?<![A-Za-z0-9_])_[a-z]{1,3}(?![A-Za-z0-9_])")
_UNNAMED = "<"  # <module>, <lambda>, <genexpr>


@dataclass(frozen=True)
class MergedModule:
    """segments: (first line here, path, first line there), in order; functions: (first line, last line, name)."""

    segments: tuple[tuple[int, str, int], ...]
    functions: tuple[tuple[int, int, str], ...]

    def origin(self, line: int) -> tuple[str, int, str]:
        """Path and line as they were written, and the innermost function or class there, "" if none."""
        segment = max((one for one in self.segments if one[0] <= line), default=self.segments[0])
        inside = [one for one in self.functions if one[0] <= line <= one[1]]
        name = max(inside, key=lambda one: (one[0], -one[1]))[2] if inside else ""
        return segment[1], line - segment[0] + segment[2], name


@dataclass
class SourceMap:
    """modules: by the path that a traceback names. names: what a short name stands for."""

    modules: dict[str, MergedModule] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """As it is kept in a file."""
        modules = {
            path: {"segments": module.segments, "functions": module.functions} for path, module in self.modules.items()
        }
        return json.dumps({"format": FORMAT, "modules": modules, "names": self.names}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> SourceMap:
        """ToolError if the text is none."""
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields["format"] != FORMAT:
                raise ValueError(f"format {fields['format']}")
            modules = {
                str(path): MergedModule(
                    tuple((int(here), str(name), int(there)) for here, name, there in module["segments"]),
                    tuple((int(first), int(last), str(name)) for first, last, name in module["functions"]),
                )
                for path, module in fields["modules"].items()
            }
            return cls(modules, {str(name): tuple(map(str, old)) for name, old in fields["names"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ToolError(f"not a map of a release's lines: {error}") from None

    def translate(self, text: str) -> str:
        """A MicroPython traceback, or any text with some in it, with the files, lines and names that were written."""
        return "".join(self._line(line) for line in text.splitlines(keepends=True))

    def _line(self, line: str) -> str:
        found = _FRAME.search(line)
        if found is None:
            return self._explained(line)
        module = self.modules.get(found[2])
        if module is None:
            return line
        path, number, name = module.origin(int(found[4]))
        if found[6] and (found[6].startswith(_UNNAMED) or not name):
            name = found[6]
        where = f"{found[1]}{path}{found[3]}{number}" + (f"{found[5]}{name}" if found[5] else "")
        return line[: found.start()] + where + line[found.end() :]

    def _explained(self, line: str) -> str:
        """Says behind a line what the short names in it are."""
        known = {short: self.names[short] for short in _SHORT.findall(line) if short in self.names}
        if not known or "Error" not in line:
            return line
        told = "; ".join(f"{short} is {' or '.join(names)}" for short, names in known.items())
        end = line[len(line.rstrip("\r\n")) :]
        return f"{line[: len(line) - len(end)]}  ({told}){end}"
