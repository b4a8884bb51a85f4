"""What the board remembers of releases: the version confirmed last, the one being tried, the one that failed.

One record in NVS. It is believed only as far as it fits what really runs: ids are tied to a release's digest, and the
running slot's header says which release that is. It asks no server and touches no slot.

Fields: `id`, `digest`, `version` of the release confirmed last, `thing` that it was confirmed for, `other` {id, digest}
confirmed before it; `next` {id, digest, version} from before a slot is selected until its release is confirmed on the
server; `failed` likewise, with `tries`: rolled back, or left because it kept crashing, and `why`, as far as the board
can tell, until the server was told; its tries count on if it passes a later trial. `spent`: updates in a row.
"""

from keeper.talking.address import is_plain, printable

_TEXT_LIMIT = 64
_WHY_LIMIT = 200
_TRIES_LIMIT = 100
_MORE_LIMIT = 200
_FIELDS = ("id", "digest", "version", "thing", "next", "failed", "other", "spent")

# After the first and the second rollback of a release it is tried again when the board has been up for so long;
# after the third only another release is.
_RETRY_AFTER_MS = (3_600_000, 6 * 3_600_000)

# So many updates may follow each other at once, and then again when the board has been up for so long. Each costs
# otadata some three erases: a server that always wants another release needs 12 years for the 100,000 of a sector.
_SPENT_LIMIT = 4
_REST_MS = 8 * 3_600_000


class Ledger:
    """The record over a `state.Store`; digest and version of the running release, None if they aren't known."""

    def __init__(self, store, digest=None, version=None):
        self._store = store
        self._digest = digest
        self._version = version
        self._thing = None
        self._record = _sound(store.load("release"))

    def runs(self, digest):
        """Whether the release with this digest (or None) is the one that runs."""
        return digest is not None and digest == self._digest

    def speak_of(self, thing):
        """From now on as this thing: what another thing was told isn't known of this one."""
        if self._record.get("thing", thing) != thing:
            self._record["id"] = self._record["other"] = None
        self._thing = thing

    def known_id(self):
        """The version id of what runs, or None if it isn't known here."""
        if self._record.get("digest", self._digest) != self._digest:  # a record of schema 0 has no digest
            return None
        return self._record.get("id")

    def contradicts(self, version):
        """Whether the server's word that the board runs this version (`clouds.Version`) is known to be wrong."""
        if version.digest:
            return not self.runs(version.digest)
        failed = self._record.get("failed")
        if failed and failed["id"] == version.id and not self.runs(failed["digest"]):
            return True  # it ran, and was left
        return version.id == self._record.get("id") and self.known_id() is None

    def awaited_id(self):
        """The id of the running release if the server still has to be told of it, else None."""
        expected = self._record.get("next")
        return expected["id"] if expected and self.runs(expected["digest"]) else None

    def expect(self, version_id, manifest, up_ms=0):
        """Store what the next boot should run; called before the slot is selected. up_ms: for how long this one has."""
        self._record["next"] = {"id": version_id, "digest": manifest.digest, "version": manifest.version}
        self._record["spent"] = 1 if up_ms >= _REST_MS else min(self._record.get("spent", 0) + 1, _SPENT_LIMIT)
        self._keep()

    def has_to_rest(self, up_ms):
        """Whether so many updates have followed each other that the next one has to wait."""
        return self._record.get("spent", 0) >= _SPENT_LIMIT and up_ms < _REST_MS

    def settle(self, aborted, why, on_trial=False):
        """After a boot, give up a `next` that doesn't run; the version of a release that failed, else None.

        aborted: otadata says that the other slot was tried and left; else the power went before it was selected. why:
        what the board can tell of the reason. on_trial: of what runs now.
        """
        record = self._record
        expected = record.get("next")
        if expected and self.runs(expected["digest"]):
            return None
        left = None
        if expected:
            record["next"] = None
            left = expected if aborted and not self._was_left() else None
        elif on_trial and record.get("digest") not in (None, self._digest):
            # Nobody ordered this trial: main.py left the confirmed release, which kept crashing.
            if record.get("id"):
                left = {"id": record["id"], "digest": record["digest"], "version": record.get("version")}
                record["id"] = None
            other = record.get("other")
            if other and self.runs(other["digest"]):  # the server believes that the one that was left runs
                expected = record["next"] = {"id": other["id"], "digest": self._digest, "version": self._version}
        if left:
            before = record.get("failed")
            left["tries"] = before["tries"] + 1 if before and before["digest"] == left["digest"] else 1
            left["why"] = why
            record["failed"] = left
        if left or expected:
            self._keep()
        return left["version"] if left else None

    def _was_left(self):
        """Whether main.py had left what runs: then the trial that failed was the other release's, and no update."""
        failed = self._record.get("failed")
        return not self._record.get("id") and failed and self.runs(failed["digest"])

    def untold_failure(self):
        """(version id, version, why) of a failure that the server hasn't been told, or None."""
        failed = self._record.get("failed")
        return (failed["id"], failed["version"], str(failed["why"])) if failed and failed.get("why") else None

    def told(self):
        """The server knows of the failure."""
        self._record["failed"]["why"] = None
        self._keep()

    def give_up(self):
        """Forget the `next` that runs: the server will not hear of it."""
        self._record["next"] = None
        self._keep()

    def confirmed(self, version_id):
        """Remember that the server knows the running release by this id."""
        if self._record.get("id") and self._record.get("digest") not in (None, self._digest):
            self._record["other"] = {"id": self._record["id"], "digest": self._record["digest"]}
        self._record["id"] = version_id
        self._record["digest"] = self._digest
        self._record["version"] = self._version
        self._record["thing"] = self._thing
        self._record["next"] = None
        failed = self._record.get("failed")
        if failed and failed["digest"] == self._digest:
            failed["why"] = None  # it works after all; if it fails again, that is one time more
        self._keep()

    def excuse(self):
        """Whether there was a try to be taken back: it wasn't the release that failed."""
        failed = self._record.get("failed")
        if not failed:
            return False
        failed["tries"] -= 1
        if not failed["tries"]:
            self._record["failed"] = None
        self._keep()
        return True

    def holds_back(self, version_id, up_ms):
        """Whether this version was rolled back on this board, and isn't to be tried again after so long a time up."""
        failed = self._record.get("failed")
        if not failed or failed["id"] != version_id:
            return False
        tries = failed["tries"]
        if tries > len(_RETRY_AFTER_MS):
            return True
        return up_ms < _RETRY_AFTER_MS[tries - 1]

    def _keep(self):
        self._store.save("release", self._record)


def _sound(found):
    """What of the record can be ours: a release that was rolled back may have left any form, type and length in it."""
    record = {}
    if not isinstance(found, dict):
        return record
    for name in _FIELDS[:4]:
        if name in found:
            if found[name] is not None and not _is_text(found[name]):
                return {}
            record[name] = found[name]
    spent = found.get("spent")
    if type(spent) is int and 0 < spent <= _SPENT_LIMIT:
        record["spent"] = spent
    for name in _FIELDS[4:7]:
        entry = found.get(name)
        if isinstance(entry, dict) and _is_text(entry.get("id")) and _is_text(entry.get("digest")):
            version = printable(str(entry.get("version")), _TEXT_LIMIT)
            record[name] = {"id": entry["id"], "digest": entry["digest"], "version": version}
    failed = record.get("failed")
    if failed:
        tries, why = found["failed"].get("tries"), found["failed"].get("why")
        failed["tries"] = tries if type(tries) is int and 0 < tries < _TRIES_LIMIT else 1
        failed["why"] = printable(str(why), _WHY_LIMIT) if why else None
    more = {name: found[name] for name in found if name not in _FIELDS}  # a newer release's
    if len(str(more)) <= _MORE_LIMIT:
        record.update(more)
    return record


def _is_text(value):
    return isinstance(value, str) and len(value) <= _TEXT_LIMIT and is_plain(value)
