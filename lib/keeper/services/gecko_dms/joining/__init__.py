"""How a device is provisioned and activated, and what of it is kept in NVS. A phase: at a start, and where it isn't."""

from keeper.services.gecko_dms.joining.calls import acknowledge, activate, provision, rename  # noqa: F401
from keeper.services.gecko_dms.joining.provisioning import (  # noqa: F401
    be_activated,
    be_provisioned,
    describe,
    ensure,
    forget_all,
    recall,
    status,
)
from keeper.services.gecko_dms.joining.record import factory_token, uuid_of  # noqa: F401
