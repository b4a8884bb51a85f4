"""Provisioning: a token buys a device a credential, and what becomes of both when an exchange is lost.

A credential is first offered. The device's first call with it - the acknowledgement, or any other - proves that it was
kept: then it is the device's, what it had before is dropped, and this use of the token is spent. Until then a
repetition gets another one and costs nothing.
"""

import uuid as uuids

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from thermokeeper.contract.times import now
from thermokeeper.server.refusals import ApiError, conflict
from thermokeeper.server.rules import audit
from thermokeeper.server.secrets import hashed, matches, new_key
from thermokeeper.server.storage.dms_models import DmsDevice, ProvisioningToken, TokenUse
from thermokeeper.server.storage.models import Serial


def unknown_credential() -> ApiError:
    message = "the credential is missing or wrong; send a valid one as `Authorization: Bearer CREDENTIAL`"
    return ApiError(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})


def token_state(token: ProvisioningToken) -> str:
    """open, used, expired or revoked. An open or used one lets its devices go on to their acknowledgement."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now():
        return "expired"
    return "used" if token.taken >= token.uses else "open"


def is_blocked(session: Session, uuid: str) -> bool:
    return bool(blocked_of(session, [uuid]))


def blocked_of(session: Session, uuids: list[str]) -> set[str]:
    """Those of these devices that the vendor has blocked."""
    return set(session.scalars(select(Serial.number).where(Serial.number.in_(uuids), Serial.blocked)))


def device_row(session: Session, uuid: str) -> DmsDevice | None:
    """The device, locked for what follows (where the database locks rows)."""
    return session.scalar(select(DmsDevice).where(DmsDevice.uuid == uuid).with_for_update())


def take(session: Session, secret: str, uuid: str | None) -> ProvisioningToken:
    """The token, locked, if it is good for this device. ApiError 403 otherwise.

    The token is always locked before a device. `key_share`: a row that only refers to it needs not wait.
    """
    wanted = select(ProvisioningToken).where(ProvisioningToken.token_hash == hashed(secret))
    token = session.scalar(wanted.with_for_update(key_share=True))
    if token is None or not matches(secret, token.token_hash):
        raise ApiError(403, "token_unknown", "the provisioning token is unknown; ask the vendor for one")
    state = token_state(token)
    if state in ("revoked", "expired"):
        message = f"the provisioning token {'was revoked' if state == 'revoked' else 'has expired'}; ask for another"
        raise ApiError(403, f"token_{state}", message)
    if token.uuid is not None and uuid not in (None, token.uuid):
        raise ApiError(403, "token_for_another", "the provisioning token is for another device")
    return token


def device_for(session: Session, token: ProvisioningToken, uuid: str | None) -> str:
    """The uuid that a provisioning is for: the device's word, the token's, or a new one.

    Without a word of the device a token with a single use goes on with what it has begun: its answer may be lost.
    """
    begun = None
    if uuid is None and token.uuid is None and token.uses == 1:
        begun = session.scalar(select(TokenUse.uuid).where(TokenUse.token_id == token.id))
    return uuid or token.uuid or begun or str(uuids.uuid4())


def offer(session: Session, token: ProvisioningToken, uuid: str) -> str:
    """A fresh credential for the device; drops one that was offered before. ApiError 403 or 409.

    Who holds a token for many devices can't take over a device with it: one that has acknowledged, that has an owner,
    or that the vendor has made a token for, needs a token with its uuid.
    """
    device = device_row(session, uuid)
    use = session.get(TokenUse, (token.id, uuid))
    if use is not None and use.acknowledged_at is not None:
        raise conflict("token_acknowledged", "this device has acknowledged with this token: it is spent")
    if token.uuid is None:
        known = session.scalar(select(exists().where(ProvisioningToken.uuid == uuid)))
        if device is not None:
            known = known or device.acknowledged_at is not None or (use is None and device.owner_id is not None)
        if known:
            message = "this device is known to the vendor: it needs a provisioning token with its uuid"
            raise ApiError(403, "own_token_needed", message)
    if use is None:
        if token.taken >= token.uses:
            raise conflict("token_used_up", "the provisioning token is used up: other devices have taken its uses")
        if device is None:
            device = DmsDevice(uuid=uuid)
            session.add(device)
            session.flush()
        token.taken += 1
        session.add(TokenUse(token_id=token.id, uuid=uuid))
    assert device is not None
    credential = new_key()
    device.offered_hash = hashed(credential)
    device.offered_token_id = token.id
    again = "once more, " if use is not None else ""
    audit.note(session, f"device {uuid}", "device.provisioned", uuid, f"{again}by token {token.id}")
    return credential


def by_credential(session: Session, credential: str) -> DmsDevice:
    """The device whose credential this is, offered or its own. ApiError 401."""
    digest = hashed(credential)
    either = or_(DmsDevice.credential_hash == digest, DmsDevice.offered_hash == digest)
    device = session.scalar(select(DmsDevice).where(either))
    if device is None or not any(
        found is not None and matches(credential, found) for found in (device.credential_hash, device.offered_hash)
    ):
        raise unknown_credential()
    return device


def acknowledge(session: Session, credential: str) -> None:
    """The device has shown a credential that it was offered: it is its own now. ApiError 401 if it may not be."""
    digest = hashed(credential)
    device = session.scalar(select(DmsDevice).where(DmsDevice.offered_hash == digest).with_for_update())
    if device is None:
        by_credential(session, credential)  # another call was faster, or a repetition has dropped it
        return
    token = session.get(ProvisioningToken, device.offered_token_id)
    if token is None or token_state(token) in ("revoked", "expired"):
        raise unknown_credential()
    moment = now()
    again = device.acknowledged_at is not None
    device.credential_hash, device.offered_hash = digest, None
    device.token_id, device.offered_token_id = token.id, None
    device.acknowledged_at = moment
    use = session.get(TokenUse, (token.id, device.uuid))
    assert use is not None
    use.acknowledged_at = moment
    detail = f"token {token.id}" + (", its former credential is dropped" if again else "")
    audit.note(session, f"device {device.uuid}", "device.acknowledged", device.uuid, detail)
