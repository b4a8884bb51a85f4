"""What the cases are worth: lib/ with one check less, and cases that have to notice.

Each: what is taken away, the file, text in it, what it becomes, and the cases to play. Text that isn't there any more
fails the test: say then how the check reads now.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    name: str
    file: str
    changes: tuple[tuple[str, str], ...]
    cases: tuple[str, ...]
    runtime: str = "cpython"


def _one(name: str, file: str, old: str, new: str, *cases: str, runtime: str = "cpython") -> Mutation:
    return Mutation(name, file, ((old, new),), cases, runtime)


RELEASE, INSTALLER, POLICY = (
    "lib/keeper/release/header.py",
    "lib/keeper/updating/installer.py",
    "lib/keeper/release/policy.py",
)

ADMISSION = "lib/keeper/admitting/admission.py"

MUTATIONS = (
    _one(
        "the padding behind the manifest isn't signed",
        RELEASE,
        "hashlib.sha256(memoryview(header)[:SIGNATURE_OFFSET])",
        'hashlib.sha256(bytes(header[:2000]) + b"\\xff" * 1712)',
        "flip/3",
    ),
    _one("the signature isn't checked", RELEASE, "if not _pss_verify(", "if False and not _pss_verify(", "swap/"),
    _one("an unknown key counts", RELEASE, "if manifest.key not in keys:", "if False:", "manifest/key "),
    _one("true is a number", RELEASE, "type(value) is not int", "not isinstance(value, int)", "manifest/format true"),
    _one("a release may be larger than the slot", RELEASE, "manifest.slot_size > slot_size", "False", "app/one block"),
    _one("a release for another chip is taken", RELEASE, "manifest.chip != chip", "False", "manifest/chip"),
    _one("another product's release is taken", RELEASE, "manifest.product != product", "False", "manifest/product"),
    _one("security may go down", RELEASE, "manifest.security < security", "False", "manifest/security 0"),
    _one("what has expired is taken", POLICY, "now > manifest.expires", "False", "manifest/expire"),
    _one("a part's size may be odd", RELEASE, "if size % (BLOCK", "if False and size % (BLOCK", "fs/not whole"),
    _one(
        "JSON of any depth is parsed",
        "lib/keeper/talking/jsontext.py",
        "_MAX_BRACKETS = 64",
        "_MAX_BRACKETS = 1 << 20",
        "manifest/brackets only",
        runtime="micropython",
    ),
    _one(
        "JSON of any number of members is parsed",
        "lib/keeper/talking/jsontext.py",
        "_MAX_COMMAS = 256",
        "_MAX_COMMAS = 1 << 20",
        "manifest/four hundred members",
        runtime="micropython",
    ),
    _one(
        "the slot is erased before the header is decided on",
        ADMISSION,
        "    return _policy(life).admit(",
        "    slots.other.erase(0)\n    return _policy(life).admit(",
        "manifest/chip",
    ),
    Mutation(
        "parts aren't compared with their hashes",
        INSTALLER,
        (
            ("good = digest.digest() == part.sha256", "good = True"),
            ("        return digest.digest() == part.sha256", "        return True"),
        ),
        ("swap/", "damage/"),
    ),
    _one(
        "the application isn't looked at",
        INSTALLER,
        "                    self._check_application(manifest)",
        "                    pass",
        "app/",
    ),
    _one(
        "the header is written first",
        INSTALLER,
        "        first, size, place = self._begin(download, manifest)\n",
        "        first, size, place = self._begin(download, manifest)\n"
        "        self._write_header(download, manifest)\n",
        "swap/fs/",
    ),
    _one(
        "what is behind the application counts",
        INSTALLER,
        "self._slots.other.read, manifest.app.size  #",
        "self._slots.other.read, self._slots.other.size  #",
        "app/merged",
    ),
    _one(
        "the checkpoint of what was refused stays",
        INSTALLER,
        "        except ReleaseError:\n            self._checkpoint.clear()\n",
        "        except ReleaseError:\n",
        "record/",
    ),
    _one(
        "what was refused is selected",
        "lib/keeper/updating/transaction.py",
        "        installer.install(download, manifest, Layout(*running) if running else None)\n",
        "        try:\n"
        "            installer.install(download, manifest, Layout(*running) if running else None)\n"
        "        except Exception:\n"
        "            pass\n",
        "swap/fs/whole",
    ),
    _one(
        "a file may go on behind the release",
        "lib/keeper/updating/download.py",
        "self._position == self._expected",
        "False",
        "length/+1/",
    ),
    _one(
        "a size that the server tells isn't compared",
        ADMISSION,
        "size not in (None, manifest.file_size)",
        "False",
        "length/+1/whole",
    ),
    _one(
        "a chunk may have any length",
        "lib/keeper/inflating/chunks.py",
        "if not 0 < length <= size:",
        "if False:",
        "packed/length",
    ),
    _one(
        "a chunk may go on behind its end",
        "lib/keeper/inflating/chunks.py",
        "            if more:\n",
        "            if False:\n",
        "packed/one byte too many",
    ),
    _one(
        "space in the text may go on for ever",
        "lib/keeper/services/text/base64stream.py",
        "_SPACE_LIMIT = 2048",
        "_SPACE_LIMIT = 1 << 40",
        "answer/json escapes",
    ),
    _one(
        "JSON around the text may go on for ever",
        "lib/keeper/services/text/base64stream.py",
        "_AROUND_LIMIT = 16384",
        "_AROUND_LIMIT = 1 << 40",
        "answer/json",
    ),
    _one(
        "a head may go on for ever",
        "lib/keeper/talking/head.py",
        "_HEAD_LIMIT = 65536",
        "_HEAD_LIMIT = 1 << 40",
        "answer/100 Continue",
    ),
    _one(
        "an answer may go on for ever",
        "lib/keeper/talking/response.py",
        "if len(data) > limit:",
        "if False:",
        "answer/status 500",
    ),
    _one(
        "any key in NVS is used",
        "lib/keeper/services/gadgetkeeper/wire.py",
        'checked_key(credentials["key"], "apiKey")',
        'credentials["key"]',
        "record/",
    ),
    _one(
        "the ledger keeps whatever is in its record",
        "lib/keeper/remembering/ledger.py",
        "_MORE_LIMIT = 200",
        "_MORE_LIMIT = 1 << 20",
        "record/",
    ),
    _one(
        "a damaged record is an error",
        "lib/keeper/nvs/state.py",
        "        except ValueError:\n            return None",
        "        except KeyError:\n            return None",
        "record/",
    ),
    _one(
        "a damaged factory record is an error of its own",
        "lib/keeper/factory/identity.py",
        "except ValueError:",
        "except KeyError:",
        "factory/",
    ),
    _one(
        "boot.py gives up on what it can't read",
        "boot.py",
        "except Exception as error:  # main.py",
        "except KeyError as error:  # main.py",
        "boot/",
        "lfs/",
    ),
)
