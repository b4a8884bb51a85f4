"""The certificates that this board trusts for https: those of its factory record and of its running release.

Both, so that a release can bring the CA of a server's next certificate to boards that were made with another.
"""

from keeper.errors import KeeperError
from keeper.factory import identity


def authorities():
    """What `tls.trusting` takes; empty if there is none."""
    try:
        import trust

        brought = getattr(trust, "CA", None)
    except ImportError:
        brought = None
    try:
        recorded = identity.read().extra.get("ca")
    except KeeperError:
        recorded = None
    return [ca for ca in (recorded, brought) if ca]
