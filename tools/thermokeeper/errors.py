"""The one exception that the host tools raise for what a user can mend."""


class ToolError(Exception):
    """One line for a person: what is wrong and what to do. `cli.main` prints it and exits with status 1."""
