"""Entry of `make demo`: tells a service's story, and ends with status 0 only if everything in it really happened."""

import sys

from thermokeeper.demo.dms import DmsStory
from thermokeeper.demo.gadgetkeeper import GadgetKeeperStory
from thermokeeper.demo.story import Story, tell
from thermokeeper.errors import ToolError

STORIES: dict[str, type[Story]] = {"gadgetkeeper": GadgetKeeperStory, "dms": DmsStory}


def main(arguments: list[str]) -> int:
    """Exit status of the demo; arguments: the name of the service, or nothing."""
    cloud = " ".join(arguments) or "gadgetkeeper"
    if cloud not in STORIES:
        print(f"there is no demo for {cloud!r}; CLOUD is one of: {', '.join(STORIES)}", file=sys.stderr)
        return 2
    try:
        tell(STORIES[cloud])
    except ToolError as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
