"""The exceptions that leave keeper, one at each boundary; no module raises anything else to its caller.

Each carries one line for a person: what happened and, where it helps, what to do. `lifecycle` turns them into
an answer in one place. This module must not import anything.
"""


class KeeperError(Exception):
    """Base of all of them; catch this one. `retry_after_ms`: the pause asked for before another try, or None."""

    retry_after_ms = None


class FactoryError(KeeperError):
    """The factory record is missing or damaged: the board doesn't know who it is."""


class StateError(KeeperError):
    """NVS refuses a read or a write (full, worn, not there)."""


class SlotError(KeeperError):
    """An application slot or otadata refuses, or a guard protects the running release."""


class ReleaseError(KeeperError):
    """A release isn't acceptable: its form, signature, product, chip, size or content."""


class NetError(KeeperError):
    """The server wasn't reached or didn't keep to the protocol: trying again later can help."""


class CommandError(KeeperError):
    """What was typed on the console isn't a command, or asks for what can't be done now."""


class CloudError(KeeperError):
    """The server answered with a refusal.

    `status` is the HTTP status, `code` the service's own word ("" if it gave none).
    """

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status = status
        self.code = code
