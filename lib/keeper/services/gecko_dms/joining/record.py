"""What a device and Gecko OS DMS know each other by: the forms of uuid, token and credential, and of what is kept.

Pure; must not know calls, and not when anything is stored.
"""

import binascii
import hashlib

from keeper.errors import CloudError, FactoryError, NetError
from keeper.services.answers import checked_id, checked_key

_TOKEN_LIMIT = 64
_CODE_LIMIT = 32  # as long as the product of a release may be
_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_HEX = "0123456789abcdef"
_UUID_FORM = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"


def uuid_of(identity):
    """The uuid that the factory record gives, else the one that follows from its serial (RFC 9562, version 8)."""
    given = identity.extra.get("uuid")
    if given is not None:
        if not is_uuid(given):
            raise FactoryError("factory record: uuid isn't one in canonical form, lower case; write it again")
        return given
    digest = bytearray(hashlib.sha256(b"thermokeeper dms " + identity.serial.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = binascii.hexlify(digest).decode()
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def factory_token(identity):
    """The provisioning token in the factory record, or None."""
    token = identity.extra.get("token")
    if token is not None and not is_token(token):
        raise FactoryError("factory record: token isn't 1 to 64 letters, digits, - and _; write it again")
    return token


def mark_of(token):
    """What shows, without saying the token itself, that it was this one."""
    return binascii.hexlify(hashlib.sha256(token.encode()).digest()[:8]).decode()


def is_token(value):
    """Whether it can be a provisioning token."""
    return _consists(value, _TOKEN_LIMIT, _WORD)


def is_uuid(value):
    """Whether it is a uuid in canonical form."""
    if not isinstance(value, str) or len(value) != len(_UUID_FORM):
        return False
    for char, form in zip(value, _UUID_FORM):
        if (char != "-") if form == "-" else (char not in _HEX):
            return False
    return True


def checked_code(value):
    """The product code, if a release can be for such a product; else CloudError."""
    if not _consists(value, _CODE_LIMIT, _WORD + "._+"):
        raise CloudError(400, "", "that is no product code: 1 to 32 letters, digits and . _ + -")
    return value


def checked_credential(value):
    """The credential, if it can be sent; else NetError."""
    return checked_key(value, "credential")


def sound(found):
    """What of a record can be ours; of any other form, type and length it may have been left by another program."""
    record = {}
    for name, check in _CHECKS.items():
        value = found.get(name)
        if value is not None and _passes(check, value):
            record[name] = value
    if "credential" in record:
        record["acked"] = found.get("acked") is True
    return record


def _passes(check, value):
    try:
        return check(value)
    except (CloudError, NetError):
        return False


def _consists(value, limit, chars):
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        return False
    for char in value:
        if char not in chars:
            return False
    return True


def _is_thing(value):
    return checked_id(value, "thing") != ""


_CHECKS = {
    "token": is_token,
    "spent": lambda value: _consists(value, 16, _HEX),
    "credential": lambda value: checked_credential(value) != "",
    "product": lambda value: checked_code(value) != "",
    "wanted": lambda value: checked_code(value) != "",
    "thing": _is_thing,
    "named": _is_thing,
}
