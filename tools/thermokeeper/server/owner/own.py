"""What is an owner's own."""

from sqlalchemy.orm import Session

from thermokeeper.server.http.responses import Responses, refusal
from thermokeeper.server.refusals import ApiError
from thermokeeper.server.rules.rows import find_thing
from thermokeeper.server.storage.models import Thing

OTHERS: Responses = {
    403: refusal("the thing is another owner's, or nobody's"),
    404: refusal("no such thing"),
}


def own_thing(session: Session, thing_id: str, owner_id: str) -> Thing:
    """ApiError 404, 403."""
    thing = find_thing(session, thing_id)
    if thing.owner_id != owner_id:
        raise ApiError(403, "forbidden", "this thing is not yours")
    return thing
