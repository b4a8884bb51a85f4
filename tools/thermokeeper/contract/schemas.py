"""The JSON of every call, as types; the server, the client and the page at /docs share them."""

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from thermokeeper.contract.fields import (
    ClaimCode,
    ClaimHash,
    Code,
    Description,
    Id,
    KeyId,
    Name,
    ProductName,
    ProofHex,
    Scalar,
    SerialNumber,
    ThingName,
    Time,
    VersionName,
)


class Message(BaseModel):
    """camelCase on the wire, snake_case here."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class VendorRequest(Message):
    """Members that aren't known are refused: a typing error must not pass in silence."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class ErrorDetail(BaseModel):
    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["there is no such thing"])


class ErrorBody(BaseModel):
    error: ErrorDetail


# -- devices -----------------------------------------------------------------------------------------------------------


class ChallengeRequest(Message):
    serial_number: Annotated[str, Field(min_length=1, max_length=200, examples=["THERM00000000000001"])]


class Challenge(Message):
    nonce: Annotated[Id, Field(description="for this serial number and one activation; good for 60 seconds")]


class ActivationRequest(ChallengeRequest):
    """`nonce` and `proof` are there together, or neither is."""

    nonce: Id | None = Field(default=None, description="from `challenge.json`")
    proof: ProofHex | None = Field(
        default=None,
        description="HMAC-SHA256, in hex, of `activate\\n{nonce}\\n{serialNumber}`; its key is the HMAC-SHA256 of "
        "`thermokeeper activation key 1` with the secret of the factory record",
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.nonce is None) != (self.proof is None):
            raise ValueError("nonce and proof go together")
        return self


class Activation(Message):
    api_key: Id
    thing_id: Id


class VersionSummary(BaseModel):
    """`release` and `release_version` are there when the firmware is a release file."""

    id: Id
    name: str
    description: str
    release: str | None = Field(default=None, description="release digest: SHA-256 of the release header, hex")
    release_version: str | None = Field(default=None, description="version that the release's manifest names")


class AvailableVersion(VersionSummary):
    automatic: bool = Field(description="the device may update to it without asking its owner")


class SwitchRequest(BaseModel):
    id: Annotated[str, Field(max_length=64)]


class ThingUpdate(Message):
    name: Name


class ThingOfName(Message):
    name: ThingName
    description: Description = ""


class ThingSummary(Message):
    id: Id
    name: str
    serial_number: SerialNumber
    product: Code
    created: Time


class DatapointIn(BaseModel):
    value: Annotated[float, Field(strict=True, allow_inf_nan=False, examples=[21.5])]
    at: Time | None = Field(default=None, description="when it was measured; without it, the time of arrival")


class PropertyIn(BaseModel):
    value: Scalar


def _in_an_object(value: object) -> object:
    return value if isinstance(value, dict) else {"value": value}


PropertyBody = Annotated[PropertyIn, BeforeValidator(_in_an_object, json_schema_input_type=PropertyIn | Scalar)]


class PropertyOut(BaseModel):
    value: Scalar
    at: Time = Field(description="when it was set")


class FirmwareText(BaseModel):
    firmware: str = Field(description="base64 of the whole firmware, without line breaks")


# -- vendors -----------------------------------------------------------------------------------------------------------

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """`next`: what to give as `after` for the following page; null at the end."""

    items: list[Item]
    next: str | None = None


class TemplateRequest(VendorRequest):
    name: Name
    description: Description = ""


class Template(Message):
    id: Id
    name: str
    description: str
    target_version: VersionSummary | None = Field(description="what is published for the field")
    created: Time


_FORCE = "take also what is unusual, see 409 `unusual`; what can't be right is refused in any case"


class PublishRequest(VendorRequest):
    force: bool = Field(default=False, description=_FORCE)


class VersionRequest(VendorRequest):
    name: VersionName
    description: Description = ""
    prototype: bool = Field(default=False, description="for chosen serials only: can't be published")
    update_performed_by_thing: bool = Field(
        default=True, description="a device may update to this version without asking its owner"
    )
    update_to_version: Id | None = Field(default=None, description="what devices that run this version are offered")
    update_automatic: bool = Field(default=False, description="they may take `updateToVersion` without asking")
    force: bool = Field(default=False, description=_FORCE)


class VersionChange(VendorRequest):
    """A member that is left out stays as it is; a null `updateToVersion` removes it."""

    description: Description | None = None
    update_performed_by_thing: bool | None = None
    update_to_version: Id | None = None
    update_automatic: bool | None = None
    force: bool = Field(default=False, description=_FORCE)


class Download(Message):
    from_version: Id
    name: str
    size: int = Field(description="bytes")


class Version(Message):
    id: Id
    template: Id
    name: str
    description: str
    prototype: bool
    update_performed_by_thing: bool
    update_to_version: Id | None
    update_automatic: bool
    published: bool
    created: Time
    firmware_size: int | None = Field(description="bytes; null until it is uploaded")
    firmware_sha256: str | None
    release: str | None
    release_version: str | None
    published_at: Time | None = Field(description="when for the first time")
    downloads: list[Download] = Field(
        description="what a device that runs an earlier version downloads to get this one; of release files only what "
        "it hasn't got, of others all"
    )


FlashSize = Literal["4MiB", "8MiB", "16MiB"]
PublicKey = Annotated[str, Field(max_length=4096, description="PEM, as `release keygen` writes it: RSA-3072")]
_FLASH_SIZE = "whose flash map its boards have: a release that needs a larger slot isn't published"
_PROOF_REQUIRED = "a serial number without a `proofKey` can't activate; one with it always has to prove itself"
_PROOF_KEY = "made of the secret in the device's factory record; with it the device has to prove itself at activation"

_CODE_REQUIRED = "a serial number without a `claimHash` can't be claimed; one with it always takes its code"
_CLAIM_HASH = (
    "made of the code on the device's label: scrypt (n 16384, r 8, p 1, 32 bytes) in hex of the code, in capitals and "
    "without hyphen, with the salt `thermokeeper claim code 1\\n{serialNumber}`; with it a claim takes the code"
)


class ProductRequest(VendorRequest):
    code: Code
    name: ProductName
    default_template: Id
    proof_required: bool = Field(default=False, description=_PROOF_REQUIRED)
    claim_code_required: bool = Field(default=False, description=_CODE_REQUIRED)
    flash_size: FlashSize | None = Field(default=None, description=_FLASH_SIZE)
    keys: Annotated[list[PublicKey], Field(max_length=16)] = []
    force: bool = Field(default=False, description=_FORCE)


class ProductChange(VendorRequest):
    """A member that is left out stays as it is; a null `flashSize` means that it isn't known."""

    proof_required: bool | None = Field(default=None, description=_PROOF_REQUIRED)
    claim_code_required: bool | None = Field(default=None, description=_CODE_REQUIRED)
    flash_size: FlashSize | None = Field(default=None, description=_FLASH_SIZE)


class Product(Message):
    id: Id
    code: Code
    name: str
    default_template: Id
    proof_required: bool
    claim_code_required: bool
    flash_size: FlashSize | None
    keys: list[KeyId] = Field(description="whose releases its boards take")
    retired: bool
    created: Time


class KeyRequest(VendorRequest):
    key: PublicKey
    name: Annotated[str, Field(max_length=64)] = ""


class ProductKey(Message):
    id: KeyId
    name: str
    added: Time


class SerialRequest(VendorRequest):
    serial_number: SerialNumber
    proof_key: ProofHex | None = Field(default=None, repr=False, description=_PROOF_KEY)
    claim_hash: ClaimHash | None = Field(default=None, repr=False, description=_CLAIM_HASH)
    template: Id | None = Field(default=None, description="instead of the product's default template")
    target_version: Id | None = Field(default=None, description="instead of what its template has published")
    force: bool = Field(default=False, description=_FORCE)


class SerialBatch(VendorRequest):
    serials: Annotated[list[SerialRequest], Field(min_length=1)]


class SerialChange(VendorRequest):
    """A member that is left out stays as it is; null removes it."""

    template: Id | None = None
    target_version: Id | None = None
    proof_key: ProofHex | None = Field(default=None, repr=False, description=_PROOF_KEY)
    claim_hash: ClaimHash | None = Field(default=None, repr=False, description=_CLAIM_HASH)
    force: bool = Field(default=False, description=_FORCE)


SerialStatus = Literal["new", "active", "blocked", "retired"]


class Serial(Message):
    serial_number: SerialNumber
    product: Code
    status: SerialStatus
    template: Id = Field(description="its own, or else the product's default")
    own_template: bool
    target_version: VersionSummary | None = Field(description="what its device should run")
    own_target: bool
    target_by_owner: bool = Field(description="whether that target is its owner's choice")
    proof_key_id: Id | None = Field(description="shows which `proofKey` it has, without telling it; null: none")
    claim_code_id: Id | None = Field(description="the same for its `claimHash`; null: a claim takes no code")
    thing: Id | None
    created: Time


class Added(BaseModel):
    added: int


class LastReading(BaseModel):
    id: Id = Field(description="the event's: stands for its name in a path")
    event: str
    value: float
    at: Time
    count: int = Field(description="how many datapoints of this event there were")


class Property(PropertyOut):
    id: Id = Field(description="stands for its name in a path")
    name: str


class UpdateFailure(Message):
    version_id: Id | None = Field(description="null if the device didn't know it; the version may be gone by now")
    version: str = Field(description="as the device calls it")
    why: str = Field(description="the last reason")
    first: Time
    last: Time
    count: int = Field(description="how often it was told; the same words within half an hour count once")


class FailureOfThing(UpdateFailure):
    thing: Id
    serial_number: SerialNumber


class Thing(Message):
    id: Id
    name: str
    serial_number: SerialNumber
    product: Code
    status: SerialStatus
    owner: str | None
    owned_since: Time | None
    current_version: VersionSummary | None
    version_confirmed: Time | None
    target_version: VersionSummary | None
    created: Time
    last_seen: Time | None
    last_activation: Time | None
    activation_count: int
    readings: list[LastReading]
    properties: list[Property] = Field(description="what it set, by name; `updateFailure` after a rollback")
    update_failures: list[UpdateFailure] = Field(description="versions that failed or were refused, last told first")


class Datapoint(BaseModel):
    event: str
    value: float
    at: Time
    arrived: Time


class ReadingHour(BaseModel):
    """What the datapoints of one event in one hour come to."""

    event: str
    start: Time = Field(description="of the hour, in UTC")
    count: int
    mean: float
    min: float
    max: float


class OwnerRequest(VendorRequest):
    name: Name


class Owner(Message):
    id: Id
    name: str
    created: Time


class NewOwner(Owner):
    token: str = Field(description="shown this once; only its hash is kept")


class NewHolder(VendorRequest):
    owner: Id


class Erased(BaseModel):
    datapoints: int = Field(description="so many were deleted")


# -- owners ------------------------------------------------------------------------------------------------------------


class Token(Message):
    token: str = Field(description="shown this once; only its hash is kept")


class HandOver(Message):
    code: str = Field(
        description="what the next owner claims with, once; only its hash is kept", examples=["7K3Q-X9FD"]
    )
    expires: Time


class ClaimRequest(VendorRequest):
    serial_number: Annotated[str, Field(min_length=1, max_length=200, examples=["THERM00000000000001"])]
    claim_code: ClaimCode | None = Field(
        default=None, repr=False, description="from the label, or from the owner who hands the device over"
    )
    name: ThingName | None = Field(default=None, description="for the thing; without it one is generated")


class OwnedThing(Message):
    id: Id
    owned_since: Time | None = Field(description="null: since before that was kept")
    name: str
    serial_number: SerialNumber
    product: Code
    current_version: VersionSummary | None
    target_version: VersionSummary | None
    target_by_owner: bool = Field(description="whether it is this owner's choice, not the vendor's")
    last_seen: Time | None
    readings: list[LastReading]
