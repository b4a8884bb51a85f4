"""Calls that say whose a thing is and what comes to its end; parts of the clients in `calls`, which know the names."""

from abc import abstractmethod

from thermokeeper.client.connection import Connection, request, segment
from thermokeeper.contract import schemas


class VendorStandingCalls(Connection):
    """A thing is named by its id or serial number, an owner by id or name."""

    @abstractmethod
    def _thing_id(self, id_or_serial: str) -> str: ...

    @abstractmethod
    def _owner_id(self, name_or_id: str) -> str: ...

    def give_thing(self, id_or_serial: str, owner: str) -> None:
        """The thing is this owner's from now on, whoever had it."""
        body = request(schemas.NewHolder, owner=self._owner_id(owner))
        self._call(type(None), "PUT", f"/v1/vendor/things/{self._thing_id(id_or_serial)}/owner.json", body)

    def release_thing(self, id_or_serial: str) -> None:
        self._call(type(None), "DELETE", f"/v1/vendor/things/{self._thing_id(id_or_serial)}/owner.json")

    def release_dms_device(self, uuid: str) -> None:
        self._call(type(None), "DELETE", f"/v1/vendor/dms/devices/{segment(uuid)}/owner.json")

    def renew_token(self, owner: str) -> schemas.NewOwner:
        """Another token for the owner: the old one opens nothing any more."""
        path = f"/v1/vendor/owners/{self._owner_id(owner)}/token/renew.json"
        return self._call(schemas.NewOwner, "POST", path)

    def revoke_token(self, owner: str) -> None:
        self._call(type(None), "POST", f"/v1/vendor/owners/{self._owner_id(owner)}/token/revoke.json")

    def delete_owner(self, owner: str) -> None:
        self._call(type(None), "DELETE", f"/v1/vendor/owners/{self._owner_id(owner)}.json")

    def erase_thing(self, id_or_serial: str) -> int:
        """Delete what it has told; how many datapoints that were."""
        path = f"/v1/vendor/things/{self._thing_id(id_or_serial)}/datapoints.json"
        erased: schemas.Erased = self._call(schemas.Erased, "DELETE", path)
        return erased.datapoints

    def delete_thing(self, id_or_serial: str) -> int:
        """Delete it, with all that it has told; how many datapoints that were."""
        path = f"/v1/vendor/things/{self._thing_id(id_or_serial)}.json"
        erased: schemas.Erased = self._call(schemas.Erased, "DELETE", path)
        return erased.datapoints

    def retire_serial(self, number: str) -> schemas.Serial:
        return self._call(schemas.Serial, "POST", f"/v1/vendor/serials/{segment(number)}/retire.json")

    def retire_product(self, code: str) -> schemas.Product:
        return self._call(schemas.Product, "POST", f"/v1/vendor/products/{segment(code)}/retire.json")


class OwnerStandingCalls(Connection):
    """A thing is named by its id."""

    def hand_over(self, thing_id: str) -> schemas.HandOver:
        """The code with which another owner claims it."""
        return self._call(schemas.HandOver, "POST", f"/v1/owner/things/{segment(thing_id)}/hand-over.json")

    def keep(self, thing_id: str) -> None:
        """Take the code for handing it over back."""
        self._call(type(None), "DELETE", f"/v1/owner/things/{segment(thing_id)}/hand-over.json")

    def release(self, thing_id: str) -> None:
        self._call(type(None), "POST", f"/v1/owner/things/{segment(thing_id)}/release.json")

    def release_device(self, uuid: str) -> None:
        self._call(type(None), "POST", f"/v1/owner/dms/devices/{segment(uuid)}/release.json")

    def erase(self, thing_id: str) -> int:
        """Delete its datapoints of one's own time; how many that were."""
        path = f"/v1/owner/things/{segment(thing_id)}/datapoints.json"
        erased: schemas.Erased = self._call(schemas.Erased, "DELETE", path)
        return erased.datapoints

    def renew_token(self) -> str:
        """Another token for oneself, which this client goes on with; the old one opens nothing any more."""
        made: schemas.Token = self._call(schemas.Token, "POST", "/v1/owner/token/renew.json")
        self._http.headers["X-OwnerToken"] = made.token
        return made.token
