"""The vendor's calls about serial numbers: which there are, what each is to run, and whether it may."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping

from thermokeeper.client.connection import Connection, request, segment
from thermokeeper.contract import schemas


class SerialCalls(Connection):
    """A template or version is named as `VendorClient` has it."""

    @abstractmethod
    def template(self, name_or_id: str) -> schemas.Template: ...

    @abstractmethod
    def version(self, name_or_id: str) -> schemas.Version: ...

    def add_serial(
        self,
        product: str,
        number: str,
        template: str | None = None,
        target_version: str | None = None,
        proof_key: str | None = None,
        claim_hash: str | None = None,
        force: bool = False,
    ) -> schemas.Serial:
        """proof_key: what proves the secret in the device's factory record (keeper.proof.key_of), in hex.

        claim_hash: `contract.claim_codes.hashed` of the code on its label.
        """
        path = f"/v1/vendor/products/{segment(product)}/serials.json"
        wanted = self._serial_request(number, template, target_version, force)
        return self._call(schemas.Serial, "POST", path, _with(wanted, number, proof_key, claim_hash))

    def add_serials(
        self,
        product: str,
        numbers: list[str],
        template: str | None = None,
        target_version: str | None = None,
        proof_keys: Mapping[str, str] | None = None,
        claim_hashes: Mapping[str, str] | None = None,
        force: bool = False,
    ) -> int:
        """Add many: all or none. How many there were. proof_keys, claim_hashes: by serial number, see `add_serial`."""
        keys, hashes = proof_keys or {}, claim_hashes or {}
        common = self._serial_request(numbers[0], template, target_version, force)
        wanted = [_with(common, number, keys.get(number), hashes.get(number)) for number in numbers]
        body = request(schemas.SerialBatch, serials=wanted)
        path = f"/v1/vendor/products/{segment(product)}/serials/batch.json"
        added: schemas.Added = self._call(schemas.Added, "POST", path, body)
        return added.added

    def _serial_request(
        self, number: str, template: str | None, target: str | None, force: bool
    ) -> schemas.SerialRequest:
        return request(
            schemas.SerialRequest,
            serial_number=number,
            template=self.template(template).id if template else None,
            target_version=self.version(target).id if target else None,
            force=force,
        )

    def serials(self, product: str, status: str | None = None, limit: int | None = None) -> Iterator[schemas.Serial]:
        return self._pages(schemas.Serial, f"/v1/vendor/products/{segment(product)}/serials.json", limit, status=status)

    def serial(self, number: str) -> schemas.Serial:
        return self._call(schemas.Serial, "GET", f"/v1/vendor/serials/{segment(number)}.json")

    def change_serial(self, number: str, *, force: bool = False, **changes: str | None) -> schemas.Serial:
        """`changes`: template, target_version (ids or names), proof_key, claim_hash. None takes its own away."""
        found: dict[str, str | None] = {}
        for name, value in changes.items():
            if value is not None and name in ("template", "target_version"):
                value = self.template(value).id if name == "template" else self.version(value).id
            found[name] = value
        body = request(schemas.SerialChange, **found, force=force)
        return self._call(schemas.Serial, "PATCH", f"/v1/vendor/serials/{segment(number)}.json", body)

    def block(self, number: str) -> schemas.Serial:
        return self._call(schemas.Serial, "POST", f"/v1/vendor/serials/{segment(number)}/block.json")

    def unblock(self, number: str) -> schemas.Serial:
        return self._call(schemas.Serial, "POST", f"/v1/vendor/serials/{segment(number)}/unblock.json")


def _with(other: schemas.SerialRequest, number: str, key: str | None, claim_hash: str | None) -> schemas.SerialRequest:
    """The same request for another serial number, with its key and the hash of its claim code."""
    changes = {"serial_number": number} | ({"proof_key": key} if key else {})
    changes |= {"claim_hash": claim_hash} if claim_hash else {}
    return request(schemas.SerialRequest, **{**other.model_dump(exclude_unset=True), **changes})
