"""Provisioning: one credential for a token's use, whatever exchange is lost, and none for whom it isn't meant."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import msgpack
import pytest

from thermokeeper.client.calls import OwnerClient
from thermokeeper.contract import times
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules import dms_provisioning


@pytest.fixture
def later(monkeypatch):
    """later(timedelta): the server's clock, for tokens, is that much ahead."""

    def move(ahead: timedelta) -> None:
        monkeypatch.setattr(dms_provisioning, "now", lambda: times.now() + ahead)

    return move


def _uses(shop, token_id: str) -> tuple[int, int, str]:
    (found,) = [token for token in shop.vendor.dms_tokens() if token.id == token_id]
    return found.taken, found.acknowledged, found.state


def _state(shop, board) -> str:
    return shop.vendor.dms_device(board.uuid).state


def test_a_token_buys_a_credential_that_opens_once_it_is_acknowledged(shop):
    token = shop.vendor.create_dms_token("Batch")
    board = shop.board()
    response = board.ask(token.token)
    assert set(msgpack.unpackb(response.content)) == {"uuid", "credential"}
    assert msgpack.unpackb(response.content)["uuid"] == board.uuid
    assert 1 <= len(board.keep(response).credential) <= 128
    assert response.headers["content-type"] == "application/msgpack"
    assert response.headers["cache-control"] == "no-store"
    assert (_state(shop, board), _uses(shop, token.id)) == ("provisioned", (1, 0, "used"))
    acknowledged = board.acknowledge()
    assert (acknowledged.status_code, acknowledged.content) == (204, b"")
    assert (_state(shop, board), _uses(shop, token.id)) == ("acknowledged", (1, 1, "used"))


def test_a_lost_answer_costs_no_further_use_and_drops_what_was_lost(shop, refused):
    token = shop.vendor.create_dms_token(uses=2)
    board = shop.board()
    lost = [shop.board(board.uuid).keep(board.ask(token.token)).credential for _ in range(5)]
    board.keep(board.ask(token.token))
    assert len({*lost, board.credential}) == 6
    for credential in lost:
        refused(board.acknowledge(credential), 401, "unauthorized")
    assert _uses(shop, token.id) == (1, 0, "open")
    assert board.acknowledge().status_code == 204


def test_an_acknowledgement_whose_answer_was_lost_may_be_repeated(shop):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    before = shop.vendor.dms_device(board.uuid)
    for _ in range(3):
        assert board.acknowledge().status_code == 204
    assert shop.vendor.dms_device(board.uuid).acknowledged == before.acknowledged


def test_after_the_acknowledgement_the_use_is_spent(shop, refused):
    token = shop.vendor.create_dms_token(uses=3)
    board = shop.board().provision(token.token)
    refused(board.ask(token.token), 409, "token_acknowledged")
    assert board.acknowledge().status_code == 204, "the credential is still good"
    assert _uses(shop, token.id) == (1, 1, "open")


def test_a_credential_that_is_used_is_acknowledged_by_that(shop, refused):
    token = shop.vendor.create_dms_token()
    board = shop.board()
    board.keep(board.ask(token.token))
    refused(board.call("GET", "/firmware"), 409, "not_activated")
    assert _state(shop, board) == "acknowledged"
    refused(board.ask(token.token), 409, "token_acknowledged")


def test_two_devices_on_a_token_with_one_use(shop, refused):
    token = shop.vendor.create_dms_token()
    first, second = shop.board(), shop.board()
    first.keep(first.ask(token.token))
    refused(second.ask(token.token), 409, "token_used_up")
    assert first.acknowledge().status_code == 204
    refused(second.ask(token.token), 409, "token_used_up")


def test_a_batch_token_has_exactly_its_uses(shop, refused):
    token = shop.vendor.create_dms_token(uses=3)
    boards = [shop.board().provision(token.token) for _ in range(3)]
    assert _uses(shop, token.id) == (3, 3, "used")
    refused(shop.board().ask(token.token), 409, "token_used_up")
    refused(boards[0].ask(token.token), 409, "token_acknowledged")
    assert len({board.credential for board in boards}) == 3


def test_devices_at_once_take_exactly_the_uses_there_are(shop):
    token = shop.vendor.create_dms_token(uses=3)
    start = threading.Barrier(8)

    def ask(_index: int) -> tuple[int, httpx.Response]:
        with httpx.Client(base_url=shop.server.url, timeout=30) as http:
            board = shop.board()
            board.http = http
            start.wait(10)
            response = board.ask(token.token)
            return response.status_code, response

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(status for status, _ in pool.map(ask, range(8)))
    assert statuses == [200] * 3 + [409] * 5
    assert _uses(shop, token.id) == (3, 0, "used")


def test_repetitions_at_once_leave_exactly_one_good_credential(shop):
    token = shop.vendor.create_dms_token()
    uuid = shop.board().uuid
    start = threading.Barrier(6)

    def ask(_index: int) -> str:
        with httpx.Client(base_url=shop.server.url, timeout=30) as http:
            board = shop.board(uuid)
            board.http = http
            start.wait(10)
            return board.keep(board.ask(token.token)).credential

    with ThreadPoolExecutor(6) as pool:
        credentials = list(pool.map(ask, range(6)))
    assert _uses(shop, token.id) == (1, 0, "used")
    statuses = [shop.board(uuid).acknowledge(credential).status_code for credential in credentials]
    assert sorted(statuses) == [204, 401, 401, 401, 401, 401]


def test_acknowledgements_at_once_are_one(shop):
    board = shop.board()
    board.keep(board.ask(shop.vendor.create_dms_token().token))
    start = threading.Barrier(4)

    def acknowledge(_index: int) -> int:
        with httpx.Client(base_url=shop.server.url, timeout=30) as http:
            start.wait(10)
            headers = {"Authorization": f"Bearer {board.credential}"}
            return http.put("/dms/v1/provision", headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(acknowledge, range(4))) == [204] * 4
    lines = [line for line in shop.vendor.audit(board.uuid) if line.what == "device.acknowledged"]
    assert len(lines) == 1


@pytest.mark.parametrize("token", ["x", "0" * 32, "A-_z9" * 12])
def test_an_unknown_token_is_refused(shop, refused, token):
    refused(shop.board().ask(token), 403, "token_unknown")


def test_a_token_for_a_uuid_is_for_that_device_only(shop, refused):
    board, other = shop.board(), shop.board()
    token = shop.vendor.create_dms_token(uuid=board.uuid)
    assert _state(shop, board) == "new", "known before it calls"
    refused(other.ask(token.token), 403, "token_for_another")
    board.provision(token.token)
    refused(other.ask(token.token), 403, "token_for_another")
    refused(board.ask(token.token), 409, "token_acknowledged")


def test_a_token_for_a_uuid_needs_no_uuid_from_the_device(shop):
    expected = shop.board().uuid
    token = shop.vendor.create_dms_token(uuid=expected)
    board = shop.board()
    assert board.keep(board.ask(token.token, uuid=None)).uuid == expected


def test_without_a_uuid_the_server_makes_one_and_a_single_use_goes_on_with_it(shop, refused):
    token = shop.vendor.create_dms_token()
    board = shop.board()
    first = board.keep(board.ask(token.token, uuid=None)).uuid
    again = shop.board()
    assert again.keep(again.ask(token.token, uuid=None)).uuid == first
    refused(board.acknowledge(), 401)
    assert again.acknowledge().status_code == 204
    refused(shop.board().ask(token.token, uuid=None), 409, "token_acknowledged")
    batch = shop.vendor.create_dms_token(uses=2)
    made = {shop.board().keep(shop.board().ask(batch.token, uuid=None)).uuid for _ in range(2)}
    assert len(made) == 2
    refused(shop.board().ask(batch.token, uuid=None), 409, "token_used_up")


def test_a_revoked_token_ends_what_is_not_acknowledged_and_nothing_else(shop, refused):
    token = shop.vendor.create_dms_token(uses=3)
    done, begun = shop.board().provision(token.token), shop.board()
    begun.keep(begun.ask(token.token))
    assert shop.vendor.revoke_dms_token(token.id).state == "revoked"
    refused(begun.acknowledge(), 401, "unauthorized")
    refused(begun.call("GET", "/firmware"), 401)
    for board in (begun, shop.board(), done):
        refused(board.ask(token.token), 403, "token_revoked")
    assert done.acknowledge().status_code == 204
    assert begun.provision(shop.vendor.create_dms_token().token), "another token goes on"
    assert shop.vendor.revoke_dms_token(token.id).acknowledged == 1, "it may be repeated"


def test_an_expired_token_ends_what_is_not_acknowledged_and_nothing_else(shop, refused, later):
    token = shop.vendor.create_dms_token(uses=3, expires=times.now() + timedelta(hours=1))
    done, begun = shop.board().provision(token.token), shop.board()
    begun.keep(begun.ask(token.token))
    later(timedelta(minutes=59))
    begun.keep(begun.ask(token.token))
    later(timedelta(hours=2))
    assert _uses(shop, token.id) == (2, 1, "expired")
    refused(begun.acknowledge(), 401, "unauthorized")
    refused(begun.ask(token.token), 403, "token_expired")
    refused(shop.board().ask(token.token), 403, "token_expired")
    assert done.acknowledge().status_code == 204


# -- a device that was reset -------------------------------------------------------------------------------------------


def test_a_device_that_was_reset_is_provisioned_again_with_a_token_of_its_own(shop, refused):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    former = board.credential
    again = shop.board(board.uuid)
    token = shop.vendor.create_dms_token(uuid=board.uuid)
    lost = shop.board(board.uuid).keep(again.ask(token.token)).credential
    assert board.acknowledge(former).status_code == 204, "the former credential is good until the new one is used"
    again.keep(again.ask(token.token))
    assert shop.vendor.dms_device(board.uuid).offered
    refused(again.acknowledge(lost), 401)
    assert board.acknowledge(former).status_code == 204
    assert again.acknowledge().status_code == 204
    refused(board.acknowledge(former), 401)
    refused(again.ask(token.token), 409, "token_acknowledged")
    assert not shop.vendor.dms_device(board.uuid).offered


def test_the_new_credential_s_first_use_drops_the_former(shop, refused):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    again = shop.board(board.uuid)
    again.keep(again.ask(shop.vendor.create_dms_token(uuid=board.uuid).token))
    refused(again.call("GET", "/firmware"), 409, "not_activated")
    refused(board.acknowledge(), 401)


def test_a_token_of_its_own_that_is_revoked_leaves_the_former_credential(shop, refused):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    token = shop.vendor.create_dms_token(uuid=board.uuid)
    again = shop.board(board.uuid)
    again.keep(again.ask(token.token))
    shop.vendor.revoke_dms_token(token.id)
    refused(again.acknowledge(), 401)
    assert board.acknowledge().status_code == 204


@pytest.mark.parametrize("uses", [1, 5])
def test_nobody_takes_over_a_device_with_a_token_for_many(shop, refused, uses):
    token = shop.vendor.create_dms_token(uses=uses)
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    refused(shop.board(board.uuid).ask(token.token), 403, "own_token_needed")
    expected = shop.board()
    shop.vendor.create_dms_token(uuid=expected.uuid)
    refused(expected.ask(token.token), 403, "own_token_needed")
    assert _uses(shop, token.id)[0] == 0, "a refusal costs nothing"
    assert board.acknowledge().status_code == 204


def test_nobody_takes_over_a_claimed_device_before_its_acknowledgement(shop, refused):
    mine, other = shop.vendor.create_dms_token(), shop.vendor.create_dms_token(uses=5)
    board = shop.board()
    board.keep(board.ask(mine.token))
    with OwnerClient(shop.server.url, shop.owner().token) as owner:
        owner.claim_device(board.uuid)
    refused(shop.board(board.uuid).ask(other.token), 403, "own_token_needed")
    board.keep(board.ask(mine.token))
    assert board.acknowledge().status_code == 204


def test_a_device_that_has_not_acknowledged_may_go_on_with_another_token(shop, refused):
    board = shop.board()
    first, second = shop.vendor.create_dms_token(), shop.vendor.create_dms_token()
    former = board.keep(board.ask(first.token)).credential
    board.keep(board.ask(second.token))
    refused(board.acknowledge(former), 401)
    assert board.acknowledge().status_code == 204
    refused(board.ask(first.token), 403, "own_token_needed")


# -- limits, restarts, secrets -----------------------------------------------------------------------------------------


def test_guessing_tokens_is_held_up_and_told_when_to_come_back(tmp_path, make_shop, refused):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        board = shop.board()
        responses = [board.ask(f"guess{number}") for number in range(121)]
        assert {response.status_code for response in responses[:120]} == {403}
        refused(responses[-1], 429, "too_many_tries")
        assert int(responses[-1].headers["retry-after"]) >= 1
        shop.vendor.close()


def test_a_restart_in_between_changes_nothing(tmp_path, make_shop, refused):
    server = LocalServer(tmp_path)
    with server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        token = shop.vendor.create_dms_token(uses=2)
        board, done = shop.board(), shop.board().provision(token.token)
        board.keep(board.ask(token.token))
        shop.vendor.close()
    again = LocalServer(tmp_path, port=server.port)
    with again, httpx.Client(base_url=again.url) as http:
        shop.vendor = type(shop.vendor)(again.url, again.vendor_token)
        board.http = done.http = http
        former = board.credential
        board.keep(board.ask(token.token))
        refused(board.acknowledge(former), 401)
        assert board.acknowledge().status_code == done.acknowledge().status_code == 204
        refused(board.ask(token.token), 409, "token_acknowledged")
        assert _uses(shop, token.id) == (2, 2, "used")
        shop.vendor.close()


def test_tokens_and_credentials_are_kept_as_hashes_only_and_never_logged(tmp_path, make_shop, caplog):
    caplog.set_level("DEBUG")
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        tokens = [shop.vendor.create_dms_token(uses=2), shop.vendor.create_dms_token()]
        board = shop.board()
        secrets = [board.keep(board.ask(tokens[0].token)).credential, *(token.token for token in tokens)]
        board.provision(tokens[0].token)
        secrets.append(board.credential)
        again = shop.board(board.uuid).provision(shop.vendor.create_dms_token(uuid=board.uuid).token)
        secrets.append(again.credential)
        shown = str([*shop.vendor.audit(), *shop.vendor.dms_tokens(), *shop.vendor.dms_devices()])
        shop.vendor.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert board.uuid.encode() in stored and tokens[0].id in shown
    for secret in secrets:
        assert secret.encode() not in stored
        assert secret not in caplog.text and secret not in shown
