"""What came with the running release to be believed: keys, revoked keys, a CA; in its generated module `trust`."""

from keeper.console import say


def brought():
    """(keys {id: modulus}, revoked key ids, CA certificate or None). Forget the module `trust` with this phase."""
    try:
        import trust
    except ImportError:
        say("trust", "this release brings no keys: every update will be refused")
        return {}, (), None
    return trust.KEYS, getattr(trust, "REVOKED", ()), getattr(trust, "CA", None)
