"""The calls of Gecko OS DMS that make a device: provisioned, acknowledged, activated to a product, named."""

from keeper.errors import NetError
from keeper.services.answers import checked_id, object_of
from keeper.services.gecko_dms.joining.record import checked_credential


def provision(wire, token, uuid):
    """A credential for this device: its text; it is to be acknowledged."""
    answer = object_of(wire.call("POST", "/provision", {"token": token, "uuid": uuid}, (200,), None))
    if answer.get("uuid") != uuid:
        raise NetError("the answer is for another uuid")
    return checked_credential(answer.get("credential"))


def acknowledge(wire):
    """Tell the server that the credential is kept; may be repeated."""
    wire.call("PUT", "/provision", None, (204,), wire.known())


def activate(wire, product_code):
    """Make this a device of the product: the answer, a dict with `product` and `thing`, checked, and more."""
    answer = object_of(wire.call("POST", "/activate", {"product_code": product_code}, (200,), wire.known()))
    checked_id(answer.get("thing"), "thing")
    if answer.get("product") != product_code:
        raise NetError("the answer is for another product")
    return answer


def rename(wire, name):
    """Name the thing; CloudError 400 if the server doesn't allow the name."""
    wire.call("PUT", "/thing", {"name": name}, (200,), wire.known())
