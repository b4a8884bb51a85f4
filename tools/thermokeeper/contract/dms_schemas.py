"""The messages of the devices that speak MessagePack, and the JSON of the vendor's and the owner's calls for them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thermokeeper.contract.fields import Code, Id, Name, Time
from thermokeeper.contract.schemas import Message, VendorRequest

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
TOKEN_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
# what each pattern asks for, for a person
ASKED_BY = {
    UUID_PATTERN: "a uuid in lower case, as 6fa1c0de-2c4b-8d1e-9a30-0d2b5e7f9c11",
    TOKEN_PATTERN: "1 to 64 letters, digits, _ and -",
}

Uuid = Annotated[str, Field(pattern=UUID_PATTERN, examples=["6fa1c0de-2c4b-8d1e-9a30-0d2b5e7f9c11"])]


# -- devices -----------------------------------------------------------------------------------------------------------


class DmsMessage(BaseModel):
    """Text is text there: nothing is converted."""

    model_config = ConfigDict(strict=True)


class DmsProvisionRequest(DmsMessage):
    token: Annotated[str, Field(pattern=TOKEN_PATTERN, description="from the vendor")]
    uuid: Uuid | None = Field(default=None, description="a device should send it always: then a repetition is its own")


class DmsProvisioned(DmsMessage):
    uuid: Uuid
    credential: str = Field(description="for `Authorization: Bearer`; only its hash is kept")


class DmsActivateRequest(DmsMessage):
    product_code: Annotated[str, Field(min_length=1, max_length=64, examples=["thermometer"])]


class DmsVersion(DmsMessage):
    id: Id
    name: str
    description: str
    release: str | None = Field(description="release digest, if the firmware is a release file; otherwise nil")


class DmsFirmware(DmsVersion):
    size: int = Field(description="bytes")


class DmsActivated(DmsMessage):
    product: Code
    name: str = Field(description="the product's, for people")
    thing: Id
    version: DmsVersion | None = Field(description="what the device should run; nil if nothing is published")


class DmsConfirmation(DmsMessage):
    id: Annotated[str, Field(min_length=1, max_length=64)]


class DmsFailure(DmsMessage):
    id: Annotated[str, Field(min_length=1, max_length=64, description="of the version that was tried")]
    version: Annotated[str, Field(max_length=64, description="its name")]
    why: Annotated[str, Field(max_length=1000)]


class DmsThingUpdate(DmsMessage):
    name: Name


class DmsThing(DmsMessage):
    id: Id
    name: str


# -- vendors -----------------------------------------------------------------------------------------------------------

DmsTokenState = Literal["open", "used", "expired", "revoked"]
DmsDeviceState = Literal["new", "provisioned", "acknowledged", "activated", "blocked"]


class DmsTokenRequest(VendorRequest):
    name: Name | None = Field(default=None, description="for people")
    uuid: Uuid | None = Field(default=None, description="for this device only; then it has one use")
    uses: Annotated[int, Field(ge=1, le=1_000_000, description="how many devices it may provision")] = 1
    expires: Time | None = None

    @model_validator(mode="after")
    def _one_use_for_one_device(self) -> "DmsTokenRequest":
        if self.uuid is not None and self.uses != 1:
            raise ValueError("a token for one device has one use")
        return self


class DmsToken(Message):
    id: Id
    name: str
    state: DmsTokenState
    uuid: Uuid | None
    uses: int
    taken: int = Field(description="by so many devices")
    acknowledged: int = Field(description="so many of them have acknowledged: for these it is spent")
    expires: Time | None
    revoked: Time | None
    created: Time


class NewDmsToken(DmsToken):
    token: str = Field(description="shown this once; only its hash is kept")


class DmsDevice(Message):
    uuid: Uuid
    state: DmsDeviceState
    offered: bool = Field(description="a credential was given out that is not acknowledged yet")
    owner: str | None
    product: Code | None
    thing: Id | None
    token: Id | None = Field(description="that it came by: of the acknowledged credential, or else of the offered one")
    created: Time
    acknowledged: Time | None
    last_seen: Time | None


class ProductAccess(Message):
    product: Code
    name: str
    granted: Time


# -- owners ------------------------------------------------------------------------------------------------------------


class DmsClaimRequest(VendorRequest):
    uuid: Annotated[str, Field(min_length=1, max_length=200, examples=["6fa1c0de-2c4b-8d1e-9a30-0d2b5e7f9c11"])]


class OwnedDmsDevice(Message):
    uuid: Uuid
    state: DmsDeviceState
    product: Code | None
    thing: Id | None
    last_seen: Time | None
