"""What the server is told when nothing else is to be done: a failure, a refusal, other trouble, the thing's name.

None of it may stand before an update, so whatever a server answers to it ends here; what it may take later is told
again at the next look.
"""

from keeper.errors import CloudError, NetError

_LATER = (401, 408, 425, 429)  # and from 500 on: no answer to what was told


def tell(life, ledger, version_id):
    """Tell what has to be told; whether that is all. version_id: of what runs, as far as that is known."""
    told_all = True
    for tell_one in (_failure, _refusal, _trouble, _name):
        try:
            tell_one(life, ledger, version_id)
        except CloudError as error:
            if error.status == 401:
                raise  # of the key: the life cycle's
            life.note("later", str(error))
            told_all = False
        except NetError as error:
            life.note("later", str(error))
            return False
    return told_all


def _failure(life, ledger, _):
    failure = ledger.untold_failure()
    if failure:
        _report(life, "rollback", *failure)
        ledger.told()


def _refusal(life, *_):
    tries = life.tries
    if tries.get("why"):
        _report(life, "refused", tries["refused"], tries["version"], tries["why"])
        tries["why"] = None


def _trouble(life, _, version_id):
    if life.trouble:
        _report(life, "trouble", version_id or "unknown", life.running[1] or "unknown", life.trouble)
        life.trouble = None


def _name(life, *_):
    life.standing.give_name()


def _report(life, topic, version_id, version, why):
    try:
        life.cloud.failed(version_id, version, why)
    except CloudError as error:
        if error.status in _LATER or error.status >= 500:
            raise
        life.note(topic, "the server doesn't want to know: %s" % error)
