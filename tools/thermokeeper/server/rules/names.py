"""What things, events and properties are called: a thing's name, unique among its owner's, and the ids beside names."""

import hashlib
import re

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from thermokeeper.contract.fields import is_id
from thermokeeper.server.refusals import conflict, not_found
from thermokeeper.server.storage.models import Owner, PropertyValue, Reading, Thing

_LONGEST = 64
_ITS_NUMBER = re.compile(r" \d+$")  # of a generated name, which is unique for a product only

# -- things ------------------------------------------------------------------------------------------------------------


def give(session: Session, thing: Thing, name: str) -> None:
    """Name the locked thing as its device asks, which can't know what its owner's others are called: a name that one of
    them has gets a number, and a thing that has such a one keeps it."""
    if thing.owner_id is None:
        thing.name = name
        return
    _lock(session, thing.owner_id)
    if _is_taken(session, thing, thing.owner_id, name):
        number = thing.name.removeprefix(f"{name} ")
        if number == thing.name or not number.isdecimal() or _is_taken(session, thing, thing.owner_id, thing.name):
            thing.name = _numbered(session, thing.owner_id, name)
    else:
        thing.name = name


def own(session: Session, thing: Thing, owner_id: str | None, name: str | None = None) -> None:
    """Make the locked thing this owner's, with the name that he gives it or the one that it has, with a number if he
    has one of that name already. ApiError 409 if he gives such a name himself."""
    if owner_id is not None and (thing.owner_id != owner_id or name is not None):
        session.execute(
            select(Thing.id).where(Thing.id == thing.id).with_for_update()
        )  # before its owner, as in `give`
        _lock(session, owner_id)
        if _is_taken(session, thing, owner_id, name or thing.name):
            if name is not None:
                raise conflict("name_taken", "another of your things has this name")
            thing.name = _numbered(session, owner_id, _ITS_NUMBER.sub("", thing.name))
        elif name is not None:
            thing.name = name
    thing.owner_id = owner_id


def _lock(session: Session, owner_id: str) -> None:
    """Two of an owner's things can't get the same name at once (where the database locks rows)."""
    session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True))


def _is_taken(session: Session, thing: Thing, owner_id: str, name: str) -> bool:
    others = exists().where(Thing.owner_id == owner_id, Thing.name == name, Thing.id != thing.id)
    return bool(session.scalar(select(others)))


def _numbered(session: Session, owner_id: str, name: str) -> str:
    taken = set(session.scalars(select(Thing.name).where(Thing.owner_id == owner_id)))
    number = 2
    while (found := f"{name[: _LONGEST - 1 - len(str(number))].rstrip()} {number}") in taken:
        number += 1
    return found


# -- events and properties ---------------------------------------------------------------------------------------------


def id_of(kind: str, thing_id: str, name: str) -> str:
    """The id of a thing's `event` or `property` of that name: nothing is kept for it, and nobody else has it."""
    return hashlib.sha256(f"thermokeeper {kind} {thing_id} {name}".encode()).hexdigest()[:32]


def name_of(session: Session, kind: type[Reading] | type[PropertyValue], thing_id: str, word: str) -> str:
    """The name that a word in a path stands for: that whose id it is, or itself. ApiError 404 for an id of none."""
    if not is_id(word):
        return word
    what, column = ("event", Reading.event) if kind is Reading else ("property", PropertyValue.name)
    known = session.scalars(select(column).where(kind.thing_id == thing_id)).all()  # some dozens at most
    if word in known:
        return word
    for name in known:
        if id_of(what, thing_id, name) == word:
            return name
    raise not_found(f"{what}: this is the id of none that the thing has used by name")
