"""The commands of a vendor and an owner: a call each, and its outcome as a table or JSON.

Only click is imported at once; the client when a command runs, so that `--help` answers fast.
"""

from thermokeeper.client.commands import readings as _readings  # noqa: F401  # adds to thing and owner
from thermokeeper.client.commands import standing as _standing  # noqa: F401  # adds to the groups of the others
from thermokeeper.client.commands.accounts import account, audit
from thermokeeper.client.commands.dms import dms
from thermokeeper.client.commands.fleet import owner, thing
from thermokeeper.client.commands.products import product
from thermokeeper.client.commands.serials import serial
from thermokeeper.client.commands.versions import template, version

GROUPS = [template, version, product, serial, thing, owner, dms, account, audit]
