"""The vendor's and the owner's calls from Python; the command, the demo and the tests use them.

What goes wrong is a ToolError, a refusal of the server a `connection.Refused`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from thermokeeper.client.connection import request, segment
from thermokeeper.client.standing import OwnerStanding, VendorStanding
from thermokeeper.contract import dms_schemas, schemas
from thermokeeper.contract.fields import is_id
from thermokeeper.errors import ToolError

_UPLOAD_BLOCK_BYTES = 64 * 1024

Named = TypeVar("Named", schemas.Template, schemas.Version, schemas.Owner)


class VendorClient(VendorStanding):
    """Where a method takes a template or version, it takes its id, or its name (a version's as `Template/1`).

    ca: file with the certificates to trust for https, in place of the system's.
    """

    def __init__(self, url: str, token: str, ca: Path | None = None) -> None:
        super().__init__(url, "X-VendorToken", token, ca)

    # templates and versions

    def create_template(self, name: str, description: str = "") -> schemas.Template:
        body = request(schemas.TemplateRequest, name=name, description=description)
        return self._call(schemas.Template, "POST", "/v1/vendor/templates.json", body)

    def templates(self) -> list[schemas.Template]:
        return self._call(list[schemas.Template], "GET", "/v1/vendor/templates.json")

    def template(self, name_or_id: str) -> schemas.Template:
        return _pick("template", name_or_id, self.templates())

    def withdraw(self, template: str) -> None:
        """No version of the template is published any more."""
        template_id = self.template(template).id
        self._call(type(None), "DELETE", f"/v1/vendor/templates/{template_id}/target-version.json")

    def create_version(
        self,
        template: str,
        name: str,
        description: str = "",
        *,
        prototype: bool = False,
        update_performed_by_thing: bool = True,
        update_to_version: str | None = None,
        update_automatic: bool = False,
    ) -> schemas.Version:
        template_id = self.template(template).id
        body = request(
            schemas.VersionRequest,
            name=name,
            description=description,
            prototype=prototype,
            update_performed_by_thing=update_performed_by_thing,
            update_to_version=self.version(update_to_version).id if update_to_version else None,
            update_automatic=update_automatic,
        )
        return self._call(schemas.Version, "POST", f"/v1/vendor/templates/{template_id}/versions.json", body)

    def versions(self, template: str) -> list[schemas.Version]:
        template_id = self.template(template).id
        return self._call(list[schemas.Version], "GET", f"/v1/vendor/templates/{template_id}/versions.json")

    def version(self, name_or_id: str) -> schemas.Version:
        if is_id(name_or_id):
            return self._call(schemas.Version, "GET", f"/v1/vendor/versions/{name_or_id}.json")
        template, slash, name = name_or_id.rpartition("/")
        if not slash:
            raise ToolError(f"{name_or_id!r} names no version: give its id, or TEMPLATE/NAME")
        return _pick("version", name, self.versions(template))

    def change_version(self, version: str, **changes: Any) -> schemas.Version:
        """`changes`: description, update_performed_by_thing, update_to_version (an id or None), update_automatic."""
        body = request(schemas.VersionChange, **changes)
        return self._call(schemas.Version, "PATCH", f"/v1/vendor/versions/{self.version(version).id}.json", body)

    def upload_firmware(self, version: str, firmware: Path | bytes) -> schemas.Version:
        """Send a firmware, a file as a stream."""
        path = f"/v1/vendor/versions/{self.version(version).id}/firmware.bin"
        if isinstance(firmware, bytes):
            return self._call(schemas.Version, "PUT", path, content=firmware)
        try:
            with open(firmware, "rb") as file:
                headers = {"Content-Length": str(firmware.stat().st_size)}
                return self._call(schemas.Version, "PUT", path, content=_blocks(file), headers=headers)
        except OSError as error:
            raise ToolError(f"{firmware} can't be read: {error.strerror}") from None

    def publish(self, version: str) -> schemas.Template:
        return self._call(schemas.Template, "POST", f"/v1/vendor/versions/{self.version(version).id}/publish.json")

    def delete_version(self, version: str) -> None:
        self._call(type(None), "DELETE", f"/v1/vendor/versions/{self.version(version).id}.json")

    # products and serial numbers

    def create_product(
        self,
        code: str,
        name: str,
        default_template: str,
        *,
        proof_required: bool = False,
        claim_code_required: bool = False,
    ) -> schemas.Product:
        body = request(
            schemas.ProductRequest,
            code=code,
            name=name,
            default_template=self.template(default_template).id,
            proof_required=proof_required,
            claim_code_required=claim_code_required,
        )
        return self._call(schemas.Product, "POST", "/v1/vendor/products.json", body)

    def products(self) -> list[schemas.Product]:
        return self._call(list[schemas.Product], "GET", "/v1/vendor/products.json")

    def change_product(self, code: str, **changes: bool) -> schemas.Product:
        """`changes`: proof_required, claim_code_required."""
        body = request(schemas.ProductChange, **changes)
        return self._call(schemas.Product, "PATCH", f"/v1/vendor/products/{segment(code)}.json", body)

    def add_serial(
        self,
        product: str,
        number: str,
        template: str | None = None,
        target_version: str | None = None,
        proof_key: str | None = None,
        claim_hash: str | None = None,
    ) -> schemas.Serial:
        """proof_key: what proves the secret in the device's factory record (keeper.proof.key_of), in hex.

        claim_hash: `contract.claim_codes.hashed` of the code on its label.
        """
        path = f"/v1/vendor/products/{segment(product)}/serials.json"
        wanted = self._serial_request(number, template, target_version)
        return self._call(schemas.Serial, "POST", path, _with(wanted, number, proof_key, claim_hash))

    def add_serials(
        self,
        product: str,
        numbers: list[str],
        template: str | None = None,
        target_version: str | None = None,
        proof_keys: Mapping[str, str] | None = None,
        claim_hashes: Mapping[str, str] | None = None,
    ) -> int:
        """Add many: all or none. How many there were. The last two: by serial number, see `add_serial`."""
        keys, hashes = proof_keys or {}, claim_hashes or {}
        common = self._serial_request(numbers[0], template, target_version)
        wanted = [_with(common, number, keys.get(number), hashes.get(number)) for number in numbers]
        body = request(schemas.SerialBatch, serials=wanted)
        path = f"/v1/vendor/products/{segment(product)}/serials/batch.json"
        added: schemas.Added = self._call(schemas.Added, "POST", path, body)
        return added.added

    def _serial_request(self, number: str, template: str | None, target: str | None) -> schemas.SerialRequest:
        return request(
            schemas.SerialRequest,
            serial_number=number,
            template=self.template(template).id if template else None,
            target_version=self.version(target).id if target else None,
        )

    def serials(self, product: str, status: str | None = None, limit: int | None = None) -> Iterator[schemas.Serial]:
        return self._pages(schemas.Serial, f"/v1/vendor/products/{segment(product)}/serials.json", limit, status=status)

    def serial(self, number: str) -> schemas.Serial:
        return self._call(schemas.Serial, "GET", f"/v1/vendor/serials/{segment(number)}.json")

    def change_serial(self, number: str, **changes: str | None) -> schemas.Serial:
        """`changes`: template, target_version (ids or names), proof_key, claim_hash. None takes its own away."""
        found: dict[str, str | None] = {}
        for name, value in changes.items():
            if value is not None and name in ("template", "target_version"):
                value = self.template(value).id if name == "template" else self.version(value).id
            found[name] = value
        body = request(schemas.SerialChange, **found)
        return self._call(schemas.Serial, "PATCH", f"/v1/vendor/serials/{segment(number)}.json", body)

    def block(self, number: str) -> schemas.Serial:
        return self._call(schemas.Serial, "POST", f"/v1/vendor/serials/{segment(number)}/block.json")

    def unblock(self, number: str) -> schemas.Serial:
        return self._call(schemas.Serial, "POST", f"/v1/vendor/serials/{segment(number)}/unblock.json")

    # things and owners

    def things(self, limit: int | None = None) -> Iterator[schemas.Thing]:
        return self._pages(schemas.Thing, "/v1/vendor/things.json", limit)

    def thing(self, id_or_serial: str) -> schemas.Thing:
        return self._call(schemas.Thing, "GET", f"/v1/vendor/things/{self._thing_id(id_or_serial)}.json")

    def datapoints(
        self, id_or_serial: str, event: str | None = None, limit: int | None = None
    ) -> Iterator[schemas.Datapoint]:
        """Last arrived first."""
        path = f"/v1/vendor/things/{self._thing_id(id_or_serial)}/datapoints.json"
        return self._pages(schemas.Datapoint, path, limit, event=event)

    def _thing_id(self, id_or_serial: str) -> str:
        if is_id(id_or_serial):
            return id_or_serial
        thing_id = self.serial(id_or_serial).thing
        if thing_id is None:
            raise ToolError(f"serial number {id_or_serial} has no thing yet: its device has not activated")
        return thing_id

    def create_owner(self, name: str) -> schemas.NewOwner:
        return self._call(schemas.NewOwner, "POST", "/v1/vendor/owners.json", request(schemas.OwnerRequest, name=name))

    def owners(self) -> list[schemas.Owner]:
        return self._call(list[schemas.Owner], "GET", "/v1/vendor/owners.json")

    # devices that provision themselves; an owner is named by id or name

    def create_dms_token(
        self, name: str | None = None, *, uuid: str | None = None, uses: int = 1, expires: datetime | None = None
    ) -> dms_schemas.NewDmsToken:
        """A token for so many devices, or for the one with that uuid."""
        body = request(dms_schemas.DmsTokenRequest, name=name, uuid=uuid, uses=uses, expires=expires)
        return self._call(dms_schemas.NewDmsToken, "POST", "/v1/vendor/dms/tokens.json", body)

    def dms_tokens(self, limit: int | None = None) -> Iterator[dms_schemas.DmsToken]:
        """Oldest first."""
        return self._pages(dms_schemas.DmsToken, "/v1/vendor/dms/tokens.json", limit)

    def revoke_dms_token(self, token_id: str) -> dms_schemas.DmsToken:
        return self._call(dms_schemas.DmsToken, "POST", f"/v1/vendor/dms/tokens/{segment(token_id)}/revoke.json")

    def dms_devices(self, limit: int | None = None) -> Iterator[dms_schemas.DmsDevice]:
        return self._pages(dms_schemas.DmsDevice, "/v1/vendor/dms/devices.json", limit)

    def dms_device(self, uuid: str) -> dms_schemas.DmsDevice:
        return self._call(dms_schemas.DmsDevice, "GET", f"/v1/vendor/dms/devices/{segment(uuid)}.json")

    def access(self, owner: str) -> list[dms_schemas.ProductAccess]:
        """The products that an owner has access to."""
        path = f"/v1/vendor/owners/{self._owner_id(owner)}/products.json"
        return self._call(list[dms_schemas.ProductAccess], "GET", path)

    def grant_access(self, owner: str, product: str) -> list[dms_schemas.ProductAccess]:
        path = f"/v1/vendor/owners/{self._owner_id(owner)}/products/{segment(product)}.json"
        return self._call(list[dms_schemas.ProductAccess], "PUT", path)

    def withdraw_access(self, owner: str, product: str) -> list[dms_schemas.ProductAccess]:
        path = f"/v1/vendor/owners/{self._owner_id(owner)}/products/{segment(product)}.json"
        return self._call(list[dms_schemas.ProductAccess], "DELETE", path)

    def _owner_id(self, name_or_id: str) -> str:
        return name_or_id if is_id(name_or_id) else _pick("owner", name_or_id, self.owners()).id

    def audit(self, subject: str | None = None, limit: int | None = None) -> Iterator[dms_schemas.AuditLine]:
        """Last first."""
        return self._pages(dms_schemas.AuditLine, "/v1/vendor/audit.json", limit, subject=subject)


class OwnerClient(OwnerStanding):
    def __init__(self, url: str, token: str, ca: Path | None = None) -> None:
        super().__init__(url, "X-OwnerToken", token, ca)

    def claim(self, number: str, name: str | None = None, code: str | None = None) -> schemas.OwnedThing:
        """code: from its label, or from the owner who hands it over."""
        body = request(schemas.ClaimRequest, serial_number=number, claim_code=code, name=name)
        return self._call(schemas.OwnedThing, "POST", "/v1/owner/claims.json", body)

    def things(self, limit: int | None = None) -> Iterator[schemas.OwnedThing]:
        return self._pages(schemas.OwnedThing, "/v1/owner/things.json", limit)

    def thing(self, thing_id: str) -> schemas.OwnedThing:
        return self._call(schemas.OwnedThing, "GET", f"/v1/owner/things/{segment(thing_id)}.json")

    def datapoints(
        self, thing_id: str, event: str | None = None, limit: int | None = None
    ) -> Iterator[schemas.Datapoint]:
        """Last arrived first."""
        path = f"/v1/owner/things/{segment(thing_id)}/datapoints.json"
        return self._pages(schemas.Datapoint, path, limit, event=event)

    def claim_device(self, uuid: str) -> dms_schemas.OwnedDmsDevice:
        body = request(dms_schemas.DmsClaimRequest, uuid=uuid)
        return self._call(dms_schemas.OwnedDmsDevice, "POST", "/v1/owner/dms/claims.json", body)

    def devices(self, limit: int | None = None) -> Iterator[dms_schemas.OwnedDmsDevice]:
        return self._pages(dms_schemas.OwnedDmsDevice, "/v1/owner/dms/devices.json", limit)

    def products(self) -> list[dms_schemas.ProductAccess]:
        return self._call(list[dms_schemas.ProductAccess], "GET", "/v1/owner/products.json")


def _with(other: schemas.SerialRequest, number: str, key: str | None, claim_hash: str | None) -> schemas.SerialRequest:
    """The same request for another serial number, with its key and the hash of its claim code."""
    changes = {"serial_number": number} | ({"proof_key": key} if key else {})
    changes |= {"claim_hash": claim_hash} if claim_hash else {}
    return request(schemas.SerialRequest, **{**other.model_dump(exclude_unset=True), **changes})


def _pick(what: str, name_or_id: str, found: list[Named]) -> Named:
    for item in found:
        if name_or_id in (item.id, item.name):
            return item
    names = ", ".join(item.name for item in found[:10]) or "none"
    raise ToolError(f"there is no {what} {name_or_id!r}; there is: {names}")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_UPLOAD_BLOCK_BYTES):
        yield block
