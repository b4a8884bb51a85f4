"""Joins what each process of a test run measured and prints it by folder; the files are in build/coverage/files.txt.

What device code does on MicroPython isn't measured: the figures are those of the same tests on CPython.
"""

import json
from collections import Counter
from pathlib import Path, PurePosixPath

import coverage

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "coverage"


def percent(counts: Counter[str]) -> str:
    """Share of statements and branches that ran; blank when there are none."""
    total = counts["num_statements"] + counts["num_branches"]
    return f"{100 * (counts['covered_lines'] + counts['covered_branches']) / total:.0f} %" if total else ""


def main() -> None:
    """Print the table; an error if nothing was measured."""
    measured = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    try:
        measured.combine()
        measured.save()
        measured.load()
        with (FOLDER / "files.txt").open("w", encoding="utf-8") as file:
            measured.report(file=file, skip_covered=False)
        measured.json_report(outfile=str(FOLDER / "coverage.json"))
    except coverage.CoverageException as error:
        raise SystemExit(f"no coverage: {error}") from None
    report = json.loads((FOLDER / "coverage.json").read_text(encoding="utf-8"))
    folders: dict[str, Counter[str]] = {}
    for name, found in report["files"].items():
        path = PurePosixPath(name)
        counts = Counter({key: value for key, value in found["summary"].items() if isinstance(value, int)})
        for folder in (path.parent.as_posix(), f"all of {path.parts[0]}/"):
            folders.setdefault(folder, Counter()).update(counts)
    width = max(map(len, folders))
    print(f"\n{'coverage':{width}}  statements  branches  covered")
    for folder in sorted(folders, key=lambda folder: (folder.startswith("all of"), folder)):
        counts = folders[folder]
        print(f"{folder:{width}}  {counts['num_statements']:>10}  {counts['num_branches']:>8}  {percent(counts):>7}")


if __name__ == "__main__":
    main()
