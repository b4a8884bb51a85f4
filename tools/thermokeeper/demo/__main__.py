"""Entry of `make demo`: tells the story, and ends with status 0 only if everything in it really happened."""

import sys

from thermokeeper.demo.story import tell
from thermokeeper.errors import ToolError


def main() -> int:
    """Exit status of the demo."""
    try:
        tell()
    except ToolError as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
