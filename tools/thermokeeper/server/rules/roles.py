"""What an account may do: its role, and the role that each of the vendor's calls needs.

A role includes those before it. A call that isn't in the table needs the highest one; a test holds that all are.
"""

from enum import IntEnum

from thermokeeper.contract.account_schemas import RoleName


class Role(IntEnum):
    """viewer looks; registrar also brings devices and owners in; publisher decides what devices run; admin all."""

    VIEWER = 1
    REGISTRAR = 2
    PUBLISHER = 3
    ADMIN = 4

    @property
    def word(self) -> RoleName:
        return _WORDS[self]


_WORDS: dict[Role, RoleName] = {
    Role.VIEWER: "viewer",
    Role.REGISTRAR: "registrar",
    Role.PUBLISHER: "publisher",
    Role.ADMIN: "admin",
}


def role_of(word: str) -> Role:
    return Role[word.upper()]


# by the name that the call has on the page at /docs, its operationId
NEEDED: dict[str, Role] = {
    # templates, versions, products
    "list_templates": Role.VIEWER,
    "get_template": Role.VIEWER,
    "create_template": Role.PUBLISHER,
    "withdraw": Role.PUBLISHER,
    "list_versions": Role.VIEWER,
    "get_version": Role.VIEWER,
    "create_version": Role.PUBLISHER,
    "change_version": Role.PUBLISHER,
    "delete_version": Role.PUBLISHER,
    "upload_firmware": Role.PUBLISHER,
    "publish": Role.PUBLISHER,
    "list_products": Role.VIEWER,
    "get_product": Role.VIEWER,
    "create_product": Role.PUBLISHER,
    "change_product": Role.PUBLISHER,
    "list_product_keys": Role.VIEWER,
    "add_product_key": Role.ADMIN,  # else who may publish could say himself by which key it is judged
    "remove_product_key": Role.ADMIN,
    "list_failures_of_version": Role.VIEWER,
    "list_failures_of_template": Role.VIEWER,
    # serial numbers, things
    "list_serials": Role.VIEWER,
    "get_serial": Role.VIEWER,
    "add_serial": Role.REGISTRAR,
    "add_serials": Role.REGISTRAR,
    "change_serial": Role.PUBLISHER,  # what its device runs
    "block_serial": Role.REGISTRAR,
    "unblock_serial": Role.REGISTRAR,
    "retire_serial": Role.ADMIN,  # what nobody can take back
    "retire_product": Role.ADMIN,
    "erase_datapoints": Role.ADMIN,
    "delete_thing": Role.ADMIN,
    "list_things": Role.VIEWER,
    "get_thing": Role.VIEWER,
    "list_datapoints": Role.VIEWER,
    "get_datapoints_csv": Role.VIEWER,
    "list_hours": Role.VIEWER,
    # owners, and devices that provision themselves
    "list_owners": Role.VIEWER,
    "create_owner": Role.REGISTRAR,
    "delete_owner": Role.REGISTRAR,
    "renew_token": Role.REGISTRAR,
    "revoke_token": Role.REGISTRAR,
    "give_thing": Role.REGISTRAR,
    "release_thing": Role.REGISTRAR,
    "release_dms_device": Role.REGISTRAR,
    "list_access": Role.VIEWER,
    "grant_access": Role.REGISTRAR,
    "withdraw_access": Role.REGISTRAR,
    "list_dms_tokens": Role.VIEWER,
    "create_dms_token": Role.REGISTRAR,
    "revoke_dms_token": Role.REGISTRAR,
    "list_dms_devices": Role.VIEWER,
    "get_dms_device": Role.VIEWER,
    # accounts, the audit
    "own_account": Role.VIEWER,
    "list_accounts": Role.ADMIN,
    "create_account": Role.ADMIN,
    "change_account": Role.ADMIN,
    "list_account_tokens": Role.ADMIN,
    "create_account_token": Role.ADMIN,
    "revoke_account_token": Role.ADMIN,
    "list_audit": Role.VIEWER,
}


def needed_for(call: str) -> Role:
    return NEEDED.get(call, Role.ADMIN)
