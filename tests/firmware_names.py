"""Makes the list of names that stock firmware has, from MicroPython's type stubs: merging leaves those as they are.

Run it as `python tests/firmware_names.py .venv/typings`.
"""

import ast
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "tools" / "thermokeeper" / "release" / "merging" / "firmware_names.txt"


def names(folder: Path) -> list[str]:
    """What is defined, or named as an argument, in any of the stubs."""
    found = set()
    for path in sorted(folder.rglob("*.pyi")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.alias):
                found |= set((node.asname or node.name).split("."))
    return sorted(name for name in found if not name.startswith("_"))


if __name__ == "__main__":
    TARGET.write_text("\n".join([*names(Path(sys.argv[1])), ""]), encoding="utf-8")
