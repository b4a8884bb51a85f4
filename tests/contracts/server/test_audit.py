"""The audit: each change of a vendor's account or an owner has its line, and it is found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from contracts.server.test_fleet import watched
from contracts.server.tour import CHANGES, calls_of, made
from thermokeeper.client.calls import VendorClient
from thermokeeper.server.rules import audit
from thermokeeper.server.storage.dms_models import AuditLine

_CHANGING = ("POST", "PUT", "PATCH", "DELETE")


def _changing(http):
    document = http.get("/openapi.json").json()
    calls = [call for call in calls_of(document, "vendors", "owners") if call.method in _CHANGING]
    return [call for call in calls if any(status.startswith("2") for status in call.operation["responses"])]


def test_the_tour_has_each_changing_call_of_vendors_and_owners(http):
    assert {call.name for call in _changing(http)} == set(CHANGES), "say in tour.py what this call needs to succeed"


def test_each_change_of_a_vendor_or_an_owner_has_a_line_with_who_made_it(shop):
    """Of every call of the page at /docs: by a token of an account, or an owner's."""
    account = shop.vendor.create_account(f"Jane {shop.tag}", "admin")
    token = shop.vendor.create_account_token(account.id, "laptop").token
    forgotten = []
    for call in _changing(shop.http):
        wanted = CHANGES[call.name](shop)
        headers, who, by_token = {"X-VendorToken": token}, f"account {account.name}", "laptop"
        if call.tag == "owners":
            owner = wanted.owner or shop.owner()
            headers, who, by_token = {"X-OwnerToken": owner.token}, f"owner {owner.name}", ""
        before = next(shop.vendor.audit(limit=1)).at
        answer = made(shop, call, {**headers, "X-Request-Id": f"audit-{call.name}"}, wanted)
        assert answer.is_success, (call.name, answer.text)
        lines = [line for line in shop.vendor.audit(limit=20) if line.call == f"audit-{call.name}"]
        if [(line.who, line.token) for line in lines] != [(who, by_token)] * len(lines) or not lines:
            forgotten.append(f"{call.method} {call.path}: {lines}")
        assert all(line.at >= before and line.what and line.subject for line in lines)
    assert forgotten == [], "call audit.changed() where these change something"


def test_what_is_refused_or_changes_nothing_has_no_line(shop):
    owner, number = shop.owner(), shop.serial()
    shop.vendor.grant_access(owner.id, shop.tag)
    shop.vendor.block(number)
    account = shop.vendor.create_account(f"Nobody {shop.tag}", "admin")
    token = shop.vendor.create_account_token(account.id, "laptop").token
    with VendorClient(shop.server.url, token) as nobody:
        nobody.grant_access(owner.id, shop.tag)
        nobody.block(number)
        nobody.change_account("vendor", role="admin")
        for body in ({"name": shop.template.name}, {}):
            answer = shop.http.post("/v1/vendor/templates.json", json=body, headers={"X-VendorToken": token})
            assert answer.is_error
    assert list(shop.vendor.audit(who=f"account {account.name}")) == []


def test_a_line_is_there_with_its_change_or_neither_is(shop, monkeypatch):
    """What fails behind the line takes the line with it."""

    def note(session, *words):
        real(session, *words)
        raise OSError("the disk")

    real = audit.note
    monkeypatch.setattr(audit, "note", note)
    headers = {"X-VendorToken": shop.server.vendor_token}
    name = f"Lost {shop.tag}"
    assert shop.http.post("/v1/vendor/templates.json", json={"name": name}, headers=headers).status_code == 500
    monkeypatch.undo()
    assert list(shop.vendor.audit(name)) == []
    assert name not in [template.name for template in shop.vendor.templates()]


@pytest.fixture
def old(shop):
    """Lines of five days, two a day, by two accounts."""
    day = datetime(2026, 3, 1, tzinfo=UTC)
    names = [f"account {name} {shop.tag}" for name in ("A", "B")]
    with shop.server.context.database.writing() as session:
        for number in range(10):
            session.add(
                AuditLine(
                    at=day + timedelta(days=number // 2, hours=12 * (number % 2)),
                    who=names[number % 2],
                    what="x.changed",
                    subject=f"{'even' if number % 4 == 0 else 'odd'} {shop.tag}",
                    detail=str(number),
                )
            )
    return day, names


def test_lines_are_found_by_time_actor_and_subject_and_paged_in_their_order(shop, old):
    day, (first, second) = old

    def found(**filters):
        return [int(line.detail) for line in shop.vendor.audit(**filters)]

    assert found(who=first) == [8, 6, 4, 2, 0] and found(who=second) == [9, 7, 5, 3, 1]
    assert found(subject=f"even {shop.tag}") == [8, 4, 0]
    days = {"since": day + timedelta(days=1), "until": day + timedelta(days=2)}
    assert found(who=first, **days) == [2] and found(who=second, **days) == [3]
    assert found(subject=f"odd {shop.tag}", until=day + timedelta(days=1)) == [1]
    query = {"who": second, "limit": 2, "from": "2026-03-01T00:00:00Z"}
    headers = {"X-VendorToken": shop.server.vendor_token}
    pages = []
    while True:
        page = shop.http.get("/v1/vendor/audit.json", params=query, headers=headers).json()
        pages.append([int(line["detail"]) for line in page["items"]])
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert pages == [[9, 7], [5, 3], [1]]


def test_lines_of_one_moment_are_all_on_some_page(shop):
    who = f"account C {shop.tag}"
    with shop.server.context.database.writing() as session:
        session.add_all([AuditLine(who=who, what="x", subject=str(number)) for number in range(7)])
        session.flush()
        session.execute(update(AuditLine).where(AuditLine.who == who).values(at=datetime(2026, 3, 1, tzinfo=UTC)))
    query, found = {"who": who, "limit": 3}, []
    headers = {"X-VendorToken": shop.server.vendor_token}
    for _ in range(3):
        page = shop.http.get("/v1/vendor/audit.json", params=query, headers=headers).json()
        found += [line["subject"] for line in page["items"]]
        query["after"] = page["next"]
    assert found == ["6", "5", "4", "3", "2", "1", "0"] and query["after"] is None


@pytest.mark.parametrize("query", ["from=soon", "to=2026", "after=x", "after=999999999", "who=" + "x" * 201, "limit=0"])
def test_a_query_that_is_none_is_refused(shop, refused, query):
    headers = {"X-VendorToken": shop.server.vendor_token}
    refused(shop.http.get(f"/v1/vendor/audit.json?{query}", headers=headers), 400, "bad_request")


def test_no_question_to_the_audit_walks_it(shop, engine, old):
    day, (first, _) = old
    with watched() as queries, VendorClient(shop.server.url, shop.server.vendor_token) as vendor:
        for filters in ({}, {"who": first}, {"subject": f"even {shop.tag}"}):
            list(vendor.audit(limit=3, **filters))
            list(vendor.audit(limit=3, since=day, until=day + timedelta(days=3), **filters))
        headers = {"X-VendorToken": shop.server.vendor_token}
        page = shop.http.get("/v1/vendor/audit.json?limit=1", headers=headers).json()
        shop.http.get(f"/v1/vendor/audit.json?limit=1&after={page['next']}", headers=headers)
    assert len(queries.seen) > 6
    assert queries.walks(engine) == []
    plans = queries.plans(engine, "FROM audit")
    assert len(plans) >= 8 and not any("TEMP B-TREE" in step for step in plans), plans
