"""Lives over https: whom a board believes, what it needs the time for, and that it leaves no connection behind."""

from __future__ import annotations

import json
import struct
import time
import zlib

import pytest

from keeper.factory import identity
from lives.kit import SERIAL, Change
from lives.secure import (
    ASKS_SOON,
    Relay,
    SecureCompany,
    goodbye_then_until_closed,
    made_for,
    published,
    strange_files,
    until_closed,
)
from thermokeeper.server.tls import prepare
from thermokeeper.simulator.proxy import CountingProxy

# Says when a TLS connection begins and when it is given back; what is only forgotten, a collection would hide.
COUNTED: Change = (
    (
        "keeper/talking/wire.py",
        "        self._shaking_hands = True\n",
        "        self._shaking_hands = True\n        print('tk: tls: begins')\n",
    ),
    (
        "keeper/talking/wire.py",
        "        inner = self._socket if self._socket is not self._stream else None\n",
        "        inner = self._socket if self._socket is not self._stream else None\n"
        "        if inner is not None:\n            print('tk: tls: ends')\n",
    ),
)


@pytest.fixture
def company(runtime, foundry, tmp_path):
    """The vendor of these tests has an https server as well."""
    company = SecureCompany(tmp_path, foundry, runtime)
    yield company
    company.close()


def test_a_whole_life_with_an_update_over_https_with_the_ca_of_the_factory_record(company, new_life):
    first = published(company)
    life = made_for(new_life(), first, company.secure.url, company.secure.ca_path)
    life.boots()
    life.says("activate", "done")
    life.says("confirm", "confirmed on the server")
    published(company, "2.0.0")
    life.says("reset", "2.0.0")
    life.says("slot", "2.0.0, on trial")
    life.says("trial", "passed")
    life.says("confirm", "confirmed on the server")
    life.measures(3)
    assert life.version == "2.0.0" and life.readings()


@pytest.mark.whole
def test_a_whole_life_with_an_update_over_https_with_the_ca_of_the_release(company, new_life):
    ca = company.secure.ca_path
    life = made_for(new_life(), published(company, ca=ca), company.secure.url)
    life.boots()
    life.says("confirm", "confirmed on the server")
    published(company, "2.0.0", ca=ca)
    life.says("trial", "passed")
    life.says("confirm", "confirmed on the server")
    assert life.version == "2.0.0"


def test_a_release_without_the_ca_that_the_board_needs_is_left_again(company, new_life):
    life = made_for(new_life(), published(company, ca=company.secure.ca_path), company.secure.url)
    life.boots()
    life.says("confirm", "confirmed on the server")
    published(
        company,
        "2.0.0",
        (
            ("thermometer/station/station.py", "_TRIAL_MS = 10 * 60_000", "_TRIAL_MS = 2_000"),
            ("thermometer/station/station.py", "_WATCHDOG_MS = 60_000", "_WATCHDOG_MS = 2_000"),
        ),
    )
    life.says("slot", "2.0.0, on trial")
    life.says("wait", "https needs a CA certificate to trust, and this device has none")
    life.says("slot", "1.0.0, valid")
    life.says("rollback", "2.0.0")
    life.says("version", "2.0.0 failed on this board")
    assert life.version == "1.0.0"


@pytest.mark.parametrize("case", ["unknown authority", "wrong name", "no authority"])
def test_a_server_that_is_not_the_one_gets_nothing_and_the_board_goes_on_measuring(company, new_life, tmp_path, case):
    server, ca = company.secure.url, company.secure.ca_path
    said = "TLS with 127.0.0.1:[0-9]+ failed"
    if case == "unknown authority":
        ca = strange_files(tmp_path).ca
    elif case == "wrong name":  # the same host, by a name that isn't on its certificate
        server, said = server.replace("127.0.0.1", "127.1"), "TLS with 127.1:[0-9]+ failed"
    else:
        ca, said = None, "https needs a CA certificate to trust"
    life = made_for(new_life(), published(company), server, ca)
    life.boots()
    life.says("wait", said)
    life.measures(4)
    assert life.vendor.serial(SERIAL).thing is None
    assert life.stored("cloud") is None


def test_where_udp_is_blocked_certificates_are_judged_by_the_release_s_time_and_the_server_s_is_taken(
    company, new_life
):
    with CountingProxy(company.secure.url) as wire:
        life = made_for(new_life(), published(company, change=ASKS_SOON), wire.url, company.secure.ca_path)
        life.world.update(ntp="off")
        life.boots()
        life.says("clock", "no answer: .*pool.ntp.org")
        life.says("wait", "the time isn't known yet")
        assert wire.connections == 0, "a time server may still answer"
        life.says("activate", "done")
        life.says("confirm", "confirmed on the server")
        life.says("clock", "set by the server")
        assert len(life.said("wait")) == 1, "said once"
        life.board.type("status")
        life.says("status", time.strftime("^time %Y-%m-%d", time.gmtime()))


@pytest.mark.parametrize("ntp", ["unsynchronized", "refuses", "stratum 16", "past"])
def test_a_time_server_without_the_time_is_not_believed(company, new_life, ntp):
    life = made_for(new_life(), published(company), company.secure.url, company.secure.ca_path)
    life.world.update(ntp=ntp)
    life.boots()
    life.says("clock", "has no time" if ntp != "past" else "the answer has no time in it")
    life.says("confirm", "confirmed on the server")
    life.says("clock", "set by the server")


def test_the_factory_record_names_the_time_server_and_the_router_is_asked_where_it_is_silent(company, new_life):
    first = published(company, change=ASKS_SOON)
    life = new_life()
    for ntp in ("192.168.1.1", "192.168.4.1"):  # the second is the router of the simulated networks
        made_for(life, first, company.secure.url, company.secure.ca_path, ntp_host="192.168.1.1")
        life.world.update(ntp=ntp)
        life.boots()
        life.says("clock", f"set by {ntp}")
        life.off()


def test_the_clock_is_kept_across_a_reset_and_not_across_a_loss_of_power(company, new_life):
    with CountingProxy(company.secure.url) as wire:
        first = published(company, change=ASKS_SOON)
        life = made_for(new_life(), first, wire.url, company.secure.ca_path)
        life.boots()
        life.says("confirm", "confirmed on the server")
        life.world.update(ntp="off")
        published(company, "2.0.0", ASKS_SOON)
        life.says("reset", "2.0.0")
        life.says("trial", "passed")
        life.says("confirm", "confirmed on the server")
        assert len(life.said("clock")) >= 2, "it has asked for the time in vain"
        assert not any("isn't known" in line for line in life.said("wait"))
        life.off()
        life.boots()
        life.says("wait", "the time isn't known yet")


def test_plain_http_is_used_only_where_the_factory_record_says_so(company, new_life):
    first = published(company)
    life = new_life().made(first)
    members = {"serial": SERIAL, "product": "thermometer", "service": "gadgetkeeper", "server": life.front.url}
    text = json.dumps({**members, **dict(life.runtime.pace)}).encode()
    record = identity.MAGIC + struct.pack("<H", len(text)) + text
    life.write("factory", record + struct.pack("<I", zlib.crc32(record)))
    life.boots()
    life.says("identity", "http is not allowed")
    life.measures(1)
    assert not life.front.requests
    life.off()
    made_for(life, first, life.front.url, plain_http=True)
    life.boots()
    life.says("confirm", "confirmed on the server")


def test_every_tls_connection_is_given_back_before_the_next_one_whatever_becomes_of_it(company, new_life, tmp_path):
    life = made_for(new_life(), published(company, change=COUNTED), company.secure.url, company.secure.ca_path)
    life.boots()
    life.says("confirm", "confirmed on the server")
    published(company, "2.0.0", COUNTED)
    life.says("reset", "2.0.0")
    life.says("confirm", "confirmed on the server")
    life.says("version", "up to date")
    life.off()
    refused = made_for(
        new_life(register=False), published(company, "1.0.1", COUNTED), company.secure.url, strange_files(tmp_path).ca
    )
    refused.boots()
    for _ in range(3):
        refused.says("tls", "begins")
        refused.says("tls", "ends")
    refused.off()
    for board, least in ((life, 8), (refused, 3)):
        said = board.said("tls")
        if said[-1] == "begins":  # the power went in the middle of one
            said.pop()
        assert len(said) >= 2 * least
        assert said == ["begins", "ends"] * (len(said) // 2)


@pytest.mark.parametrize("parts", [pytest.param(until_closed, marks=pytest.mark.whole), goodbye_then_until_closed])
def test_a_board_reads_no_further_than_the_body_and_ends_the_connection_itself(company, new_life, tmp_path, parts):
    files = prepare(tmp_path / "relay")
    with Relay(company.front.url, files, parts) as relay:
        life = made_for(new_life(), published(company), relay.url, files.ca)
        life.boots()
        life.says("confirm", "confirmed on the server")
        published(company, "2.0.0")
        life.says("trial", "passed")
        life.says("confirm", "confirmed on the server")
        life.off()
    # It waits 10 s for a server that has no more to say: one read too many shows.
    assert len(relay.waited_s) > 8 and max(relay.waited_s) < 5
