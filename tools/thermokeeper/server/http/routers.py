"""The routers of the vendor's and the owner's calls: whose token these need, and how their refusals are described."""

from fastapi import APIRouter, Depends

from thermokeeper.server.http.context import vendor
from thermokeeper.server.http.responses import Responses, refusal

BAD: Responses = {400: refusal("malformed request")}
MISSING: Responses = {404: refusal("no such template, version, product, serial number or thing")}
CLASH: Responses = {409: refusal("there is one already, or it is in use")}
# of a version that boards are to be given
NOT_GIVEN = "bad_release, wrong_key, wrong_product, no_slot, expired, not_a_release, unusual: see `publish`"


def vendor_router() -> APIRouter:
    """A router whose calls need a token of an account with the role that `rules.roles` has for them."""
    return APIRouter(
        prefix="/v1/vendor",
        tags=["vendors"],
        dependencies=[Depends(vendor)],
        responses={
            401: refusal("vendor token missing, wrong, expired or revoked, or its account is blocked"),
            403: refusal("role_needed: the account's role isn't enough for this call"),
        },
    )


def owner_router() -> APIRouter:
    """A router for calls that ask for an owner's token, as `CallingOwner`: they need to know whose it is."""
    return APIRouter(prefix="/v1/owner", tags=["owners"], responses={401: refusal("owner token missing or wrong")})
