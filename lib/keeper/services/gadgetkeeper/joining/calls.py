"""The calls of GadgetKeeper that make a thing: activation by serial, with the proof that it demands, and the name."""

from keeper.errors import CloudError
from keeper.services.answers import checked_id, checked_key, object_of
from keeper.services.gadgetkeeper.joining import proof


def activate(cloud, identity):
    """A new key for this serial, {"key", "thing"}; the server drops the old one.

    A board whose factory record has a secret proves that it is the one with this serial.
    """
    wanted = {"serialNumber": identity.serial}
    secret = proof.secret_of(identity.extra)
    nonce = _challenge(cloud, wanted) if secret else None
    if nonce:
        wanted["nonce"] = nonce
        wanted["proof"] = proof.answer(proof.key_of(secret), identity.serial, nonce)
    answer = object_of(cloud.call("POST", "/provision/activate.json", wanted, None))
    return {"key": checked_key(answer.get("apiKey"), "apiKey"), "thing": checked_id(answer.get("thingId"), "thing")}


def rename(cloud, name):
    """Name the thing; CloudError 400 if the server doesn't allow the name."""
    cloud.call("PUT", cloud.of_thing(".json"), {"name": name}, cloud.auth)


def _challenge(cloud, wanted):
    """A nonce; None from a server that knows no proofs."""
    try:
        answer = object_of(cloud.call("POST", "/provision/challenge.json", wanted, None))
    except CloudError as error:
        if error.status not in (404, 405):
            raise
        return None
    return checked_id(answer.get("nonce"), "nonce")
