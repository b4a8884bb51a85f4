"""Entry of `make demo`: tells a service's story, and ends with status 0 only if everything in it really happened.

With `--picture FILE` behind the service's name what was told becomes an SVG file, too: `make picture` makes README's.
"""

import sys
from pathlib import Path

from rich.console import Console

from thermokeeper.demo.dms import DmsStory
from thermokeeper.demo.gadgetkeeper import GadgetKeeperStory
from thermokeeper.demo.picture import scrolling
from thermokeeper.demo.story import Story, tell
from thermokeeper.errors import ToolError

STORIES: dict[str, type[Story]] = {"gadgetkeeper": GadgetKeeperStory, "dms": DmsStory}


_WIDTH = 112  # of the picture, in characters


def main(arguments: list[str]) -> int:
    """Exit status of the demo; arguments: the name of the service, or nothing; perhaps --picture and a file."""
    picture = None
    if len(arguments) >= 2 and arguments[-2] == "--picture":
        picture = Path(arguments[-1])
        arguments = arguments[:-2]
    cloud = " ".join(arguments) or "gadgetkeeper"
    if cloud not in STORIES:
        print(f"there is no demo for {cloud!r}; CLOUD is one of: {', '.join(STORIES)}", file=sys.stderr)
        return 2
    try:
        console = Console(highlight=False, record=picture is not None, width=_WIDTH if picture else None)
        tell(STORIES[cloud], console)
        if picture:
            picture.write_text(scrolling(console, "make demo"), encoding="utf-8")
    except ToolError as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
