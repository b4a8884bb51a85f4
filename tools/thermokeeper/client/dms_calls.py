"""Calls about devices that provision themselves: their tokens, whose they are, who has access to which product."""

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime

from thermokeeper.client.connection import Connection, request, segment
from thermokeeper.contract import dms_schemas


class VendorDmsCalls(Connection):
    """An owner is named by id or name."""

    @abstractmethod
    def _owner_id(self, name_or_id: str) -> str: ...

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


class OwnerDmsCalls(Connection):
    def claim_device(self, uuid: str) -> dms_schemas.OwnedDmsDevice:
        body = request(dms_schemas.DmsClaimRequest, uuid=uuid)
        return self._call(dms_schemas.OwnedDmsDevice, "POST", "/v1/owner/dms/claims.json", body)

    def devices(self, limit: int | None = None) -> Iterator[dms_schemas.OwnedDmsDevice]:
        return self._pages(dms_schemas.OwnedDmsDevice, "/v1/owner/dms/devices.json", limit)

    def products(self) -> list[dms_schemas.ProductAccess]:
        return self._call(list[dms_schemas.ProductAccess], "GET", "/v1/owner/products.json")
