"""Everything of keeper put together for one board: where a product of one's own begins.

It knows which parts there are and how they meet; each of them does one thing and knows none of the others' insides.
A product is an object with

    healthy()       "" when it works, else what is still missing; asked when the server was reached
    last_words()    why the board started, and what the boot before it had to say
    blameless()     whether the trial that failed before this boot lacked nothing but the server; it may be left out
    before_reset()  delivers what a reset would lose, or raises NetError: then the update is tried again later
    reset()         restarts the board, doesn't return
"""

from keeper.errors import FactoryError
from keeper.lifecycle import Lifecycle
from keeper.talking.http import Client


def assemble(found, product, pulse, now, on_date=None, thing_name=None, sync_ms=900_000):
    """The `Lifecycle` of a board, not settled yet (`begin` does that); KeeperError if it can't have one.

    found: `device.Device`. pulse: called by whatever waits. now: callable, UTC as text, or None while unknown (see
    `release.policy`). on_date: given the server's Date headers. sync_ms: pause between two looks at the server.
    """
    cloud, standing = join(found, Client(pulse, on_date=on_date), thing_name)
    return Lifecycle(standing, cloud, product, pulse, now, sync_ms)


def join(found, client, thing_name=None):
    """(driver, standing) for a `device.Device`; FactoryError if its record isn't right for its service.

    thing_name: what the thing is to be called, or None.
    """
    if found.service == "gadgetkeeper":
        from keeper.services import gadgetkeeper

        return gadgetkeeper.join(found, client, thing_name)
    if found.service == "gecko_dms":
        from keeper.services import gecko_dms

        return gecko_dms.join(found, client, thing_name)
    raise FactoryError("factory record: no driver for the service %s in this release" % found.service)
