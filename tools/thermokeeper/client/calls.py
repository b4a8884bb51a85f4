"""The vendor's and the owner's calls from Python; the command, the demo and the tests use them.

What goes wrong is a ToolError, a refusal of the server a `connection.Refused`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from thermokeeper.client.account_calls import AccountCalls
from thermokeeper.client.connection import pick, request, segment
from thermokeeper.client.dms_calls import OwnerDmsCalls, VendorDmsCalls
from thermokeeper.client.reading_calls import ReadingCalls
from thermokeeper.client.serial_calls import SerialCalls
from thermokeeper.client.standing_calls import OwnerStandingCalls, VendorStandingCalls
from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_id
from thermokeeper.errors import ToolError

_UPLOAD_BLOCK_BYTES = 64 * 1024


class VendorClient(AccountCalls, ReadingCalls, SerialCalls, VendorDmsCalls, VendorStandingCalls):
    """Where a method takes a template or version, it takes its id, or its name (a version's as `Template/1`).

    ca: file with the certificates to trust for https, in place of the system's.
    """

    def __init__(self, url: str, token: str, ca: Path | None = None) -> None:
        super().__init__(url, "X-VendorToken", token, ca)

    # templates and versions

    def create_template(self, name: str, description: str = "") -> schemas.Template:
        body = request(schemas.TemplateRequest, name=name, description=description)
        return self._call(schemas.Template, "POST", "/v1/vendor/templates.json", body)

    def templates(self, limit: int | None = None) -> Iterator[schemas.Template]:
        return self._pages(schemas.Template, "/v1/vendor/templates.json", limit)

    def template(self, name_or_id: str) -> schemas.Template:
        return pick("template", name_or_id, self.templates())

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
        force: bool = False,
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
            force=force,
        )
        return self._call(schemas.Version, "POST", f"/v1/vendor/templates/{template_id}/versions.json", body)

    def versions(self, template: str, limit: int | None = None) -> Iterator[schemas.Version]:
        """Oldest first."""
        template_id = self.template(template).id
        return self._pages(schemas.Version, f"/v1/vendor/templates/{template_id}/versions.json", limit)

    def version(self, name_or_id: str) -> schemas.Version:
        if is_id(name_or_id):
            return self._call(schemas.Version, "GET", f"/v1/vendor/versions/{name_or_id}.json")
        template, slash, name = name_or_id.rpartition("/")
        if not slash:
            raise ToolError(f"{name_or_id!r} names no version: give its id, or TEMPLATE/NAME")
        return pick("version", name, self.versions(template))

    def change_version(self, version: str, **changes: Any) -> schemas.Version:
        """`changes`: description, update_performed_by_thing, update_to_version (an id or None), update_automatic,
        force."""
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

    def publish(self, version: str, force: bool = False) -> schemas.Template:
        """force: also if something about it is unusual; what boards would refuse is refused in any case."""
        path = f"/v1/vendor/versions/{self.version(version).id}/publish.json"
        return self._call(schemas.Template, "POST", path, request(schemas.PublishRequest, force=force))

    def failures(self, version: str, limit: int | None = None) -> Iterator[schemas.FailureOfThing]:
        """The things on which a version failed, or that refused it, last told first."""
        path = f"/v1/vendor/versions/{self.version(version).id}/failures.json"
        return self._pages(schemas.FailureOfThing, path, limit)

    def template_failures(self, template: str, limit: int | None = None) -> Iterator[schemas.FailureOfThing]:
        """The same of all versions on things of the template."""
        path = f"/v1/vendor/templates/{self.template(template).id}/failures.json"
        return self._pages(schemas.FailureOfThing, path, limit)

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
        flash_size: str | None = None,
        keys: Iterable[Path | str] = (),
        force: bool = False,
    ) -> schemas.Product:
        """keys: public keys of its releases, see `add_key`."""
        body = request(
            schemas.ProductRequest,
            code=code,
            name=name,
            default_template=self.template(default_template).id,
            proof_required=proof_required,
            claim_code_required=claim_code_required,
            flash_size=flash_size,
            keys=[_public(key) for key in keys],
            force=force,
        )
        return self._call(schemas.Product, "POST", "/v1/vendor/products.json", body)

    def products(self, limit: int | None = None) -> Iterator[schemas.Product]:
        return self._pages(schemas.Product, "/v1/vendor/products.json", limit)

    def change_product(self, code: str, **changes: Any) -> schemas.Product:
        """`changes`: proof_required, claim_code_required, flash_size."""
        body = request(schemas.ProductChange, **changes)
        return self._call(schemas.Product, "PATCH", f"/v1/vendor/products/{segment(code)}.json", body)

    def add_key(self, product: str, key: Path | str, name: str = "") -> schemas.ProductKey:
        """key: a public key of the product's releases: a PEM file, or its text."""
        body = request(schemas.KeyRequest, key=_public(key), name=name)
        return self._call(schemas.ProductKey, "POST", f"/v1/vendor/products/{segment(product)}/keys.json", body)

    def keys(self, product: str) -> list[schemas.ProductKey]:
        return self._call(list[schemas.ProductKey], "GET", f"/v1/vendor/products/{segment(product)}/keys.json")

    def remove_key(self, product: str, key_id: str) -> None:
        self._call(type(None), "DELETE", f"/v1/vendor/products/{segment(product)}/keys/{segment(key_id)}.json")

    # things and owners

    def things(self, limit: int | None = None) -> Iterator[schemas.Thing]:
        return self._pages(schemas.Thing, "/v1/vendor/things.json", limit)

    def thing(self, id_or_serial: str) -> schemas.Thing:
        return self._call(schemas.Thing, "GET", f"/v1/vendor/things/{self._thing_id(id_or_serial)}.json")

    def _thing_path(self, which: str) -> str:
        return f"/v1/vendor/things/{self._thing_id(which)}"

    def _thing_id(self, id_or_serial: str) -> str:
        if is_id(id_or_serial):
            return id_or_serial
        thing_id = self.serial(id_or_serial).thing
        if thing_id is None:
            raise ToolError(f"serial number {id_or_serial} has no thing yet: its device has not activated")
        return thing_id

    def create_owner(self, name: str) -> schemas.NewOwner:
        return self._call(schemas.NewOwner, "POST", "/v1/vendor/owners.json", request(schemas.OwnerRequest, name=name))

    def owners(self, limit: int | None = None) -> Iterator[schemas.Owner]:
        return self._pages(schemas.Owner, "/v1/vendor/owners.json", limit)

    def _owner_id(self, name_or_id: str) -> str:
        return name_or_id if is_id(name_or_id) else pick("owner", name_or_id, self.owners()).id


class OwnerClient(ReadingCalls, OwnerDmsCalls, OwnerStandingCalls):
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

    def _thing_path(self, which: str) -> str:
        return f"/v1/owner/things/{segment(which)}"

    def available_versions(self, thing_id: str) -> list[schemas.AvailableVersion]:
        """What may be chosen for a thing."""
        path = f"/v1/owner/things/{segment(thing_id)}/available-versions.json"
        return self._call(list[schemas.AvailableVersion], "GET", path)

    def choose_target(self, thing_id: str, version: str) -> schemas.OwnedThing:
        """version: an id, or the name of one that is available or that the thing runs."""
        if not is_id(version):
            current = self.thing(thing_id).current_version
            known = [*self.available_versions(thing_id), *([current] if current is not None else [])]
            version = pick("available version", version, known).id
        body = request(schemas.SwitchRequest, id=version)
        return self._call(schemas.OwnedThing, "PUT", f"/v1/owner/things/{segment(thing_id)}/target-version.json", body)

    def leave_target(self, thing_id: str) -> schemas.OwnedThing:
        """What the vendor publishes is the target again."""
        return self._call(schemas.OwnedThing, "DELETE", f"/v1/owner/things/{segment(thing_id)}/target-version.json")


def _public(key: Path | str) -> str:
    """The text of a public key, which the server is sent; a private one never leaves here."""
    try:
        text = key.read_text(encoding="ascii", errors="replace") if isinstance(key, Path) else key
    except OSError as error:
        raise ToolError(f"{key} can't be read: {error.strerror}") from None
    if "PRIVATE KEY" in text:
        raise ToolError("that is a private key, which isn't sent anywhere: give the public one beside it (*.pub.pem)")
    return text


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_UPLOAD_BLOCK_BYTES):
        yield block
