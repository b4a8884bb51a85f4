"""Everything of keeper put together for one board: where a product of one's own begins.

It knows which parts there are and how they meet; each of them does one thing and knows none of the others' insides.
A product is an object with `healthy()`, `before_reset()` and `reset()`, see `lifecycle`.
"""

from keeper import clouds
from keeper.checkpoint import Checkpoint
from keeper.console import say
from keeper.http import Client
from keeper.installer import Installer
from keeper.ledger import Ledger
from keeper.lifecycle import Lifecycle
from keeper.policy import Policy
from keeper.state import Store


def assemble(found, slots, product, pulse, now, on_date=None, thing_name=None, sync_ms=900_000):
    """The `Lifecycle` of a board, settled after its boot; KeeperError if it can't have one.

    found: `identity.Identity`. slots: `slots.Slots`. pulse: called by whatever waits. now: callable, UTC as text, or
    None while unknown (see `policy`). on_date: given the server's Date headers. sync_ms: pause between two looks at
    the server.
    """
    keys, revoked, authority = _trust()
    store = Store()
    # Both, so that a release can bring the CA of a server's next certificate to boards that were made with another.
    authorities = [ca for ca in (found.extra.get("ca"), authority) if ca]
    client = Client(pulse, ca=authorities, on_date=on_date)
    cloud, standing = clouds.join(found, client, store, thing_name)
    policy = Policy(standing.product, keys, revoked, store, now)
    installer = Installer(slots, policy, Checkpoint(store), pulse, _Progress())
    running = installer.manifest_in(slots.running)
    lifecycle = Lifecycle(standing, Ledger(store, running), policy, slots, installer, cloud, product, sync_ms)
    lifecycle.begin(running)
    return lifecycle


class _Progress:
    """Says how far an installation is, at each twentieth of it."""

    def __init__(self):
        self._said = -1

    def __call__(self, done, total):
        twentieth = done * 20 // total
        if twentieth != self._said:
            self._said = twentieth
            say("download", "%d%% of %d KiB" % (twentieth * 5, total // 1024))


def _trust():
    """(keys, revoked key ids, CA certificate) that came with the running release, in its generated module `trust`."""
    try:
        import trust
    except ImportError:
        say("trust", "this release brings no keys: every update will be refused")
        return {}, (), None
    return trust.KEYS, getattr(trust, "REVOKED", ()), getattr(trust, "CA", None)
