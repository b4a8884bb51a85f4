"""Where the command begins, installed or as `python -m thermokeeper`: Ctrl-C is one line, also while it is loaded."""

import sys


def main() -> None:
    """Load the command and run it."""
    try:
        from thermokeeper import cli
    except KeyboardInterrupt:
        print("thermokeeper: stopped", file=sys.stderr)
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
