"""Claim codes: what stands on a device's label and shows that who claims it has it in hand.

A code is short, for people to type; so what is kept of one is made slowly, with the serial number as its salt: whoever
steals the database would work for centuries on a single code. Who makes a code sends only that to the server.
"""

import hashlib
import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no letter that is taken for a digit, and no U
_MISREAD = str.maketrans("ILO", "110", "- ")
_LETTERS = 8  # 40 bits
_GROUP = 4
CODE_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{8}$"
CODE_EXAMPLE = "7K3Q-X9FD"

# 16 MiB and some 50 ms for each
_COST = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


def new_code() -> str:
    """A code as it is printed, like 7K3Q-X9FD."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS))
    return f"{letters[:_GROUP]}-{letters[_GROUP:]}"


def plain(text: str) -> str:
    """What a person typed, as it is compared: in capitals, without hyphens and spaces; I and L are 1, O is 0."""
    return text.upper().translate(_MISREAD)


def hashed(code: str, number: str) -> str:
    """What the server keeps of the code of this serial number: 64 hex digits. Takes its time."""
    salt = f"thermokeeper claim code 1\n{number}".encode(errors="surrogatepass")
    return hashlib.scrypt(plain(code).encode(), salt=salt, **_COST).hex()
