"""What NVS remembers of security versions: each product's own, and never one that is lower than it was."""

from keeper.errors import ReleaseError
from keeper.nvs.state import Store
from keeper.release import parse
from keeper.release.policy import Policy
from releases import KEYS, header, manifest
from support import raises
from support_flash import attach, board

APP, FS = b"\xe9" * 16, b"f" * 4096


def _release(security, product="thermometer", signed=False):
    return header(manifest(APP, FS, product=product, security=security), signed)


SIGNED = {number: _release(number, signed=True) for number in (1, 2, 3)}
LAMP = _release(1, "lamp", True)


def _policy(product="thermometer"):
    return Policy(lambda: product, KEYS, (), Store(), lambda: None)


def _proved(policy, security, product="thermometer"):
    policy.proved(parse(_release(security, product)))


def _admits(policy, release):
    try:
        policy.admit(release, "esp32", 1 << 20)
    except ReleaseError:
        return False
    return True


def test_the_security_version_never_goes_down():
    with board() as sim:
        policy = _policy()
        assert _admits(policy, SIGNED[1])
        _proved(policy, 2)
        _proved(policy, 1)
        for one in (policy, _policy()):
            assert [_admits(one, SIGNED[number]) for number in (1, 2, 3)] == [False, True, True]
        sim = attach(sim.path)
        _proved(_policy(), 2)
        assert sim.operations == 0, "nothing new at the next start"


def test_each_product_has_its_own_security_version():
    with board():
        _proved(_policy(), 3)
        lamp = _policy("lamp")
        assert _admits(lamp, LAMP)
        with raises(ReleaseError, "another product"):
            lamp.admit(SIGNED[3], "esp32", 1 << 20)
        _proved(lamp, 1, "lamp")
        assert not _admits(_policy(), SIGNED[2]), "on the way back nothing older than before"
        assert _admits(_policy(), SIGNED[3])
        _proved(_policy("lamp"), 2, "lamp")
        assert not _admits(_policy("lamp"), LAMP)


def test_the_product_is_the_one_at_the_time_of_the_check():
    with board():
        product = ["thermometer"]
        policy = Policy(lambda: product[0], KEYS, (), Store(), lambda: None)
        assert not _admits(policy, LAMP)
        product[0] = "lamp"
        assert _admits(policy, LAMP)


def test_the_record_of_a_release_that_knew_one_product_counts_for_it():
    with board():
        Store().save("policy", {"security": 3, "revoked": []})
        policy = _policy("lamp")
        assert not _admits(policy, LAMP), "as long as it isn't known whose it is"
        _proved(policy, 2)
        for one in (policy, _policy("lamp")):
            assert _admits(one, LAMP)
        assert not _admits(_policy(), SIGNED[2])
        assert Store().load("policy")["security"] == 3, "for a release that knows one product"


def test_products_that_make_room_leave_their_security_version_to_all():
    with board():
        policy = _policy()
        for number in range(10):
            _proved(policy, 10 + number, "product%d" % number)
        _proved(policy, 1, "lamp")
        record = Store().load("policy")
        assert (len(record["floors"]), record["rest"]) == (8, 12)
        assert not _admits(_policy(), SIGNED[3])
        assert not _admits(_policy("lamp"), _release(0, "lamp", True))


def test_floors_of_any_form_are_survived():
    for floors in ([1], [["a"]], [[1, 2]], [["x" * 33, 1]], [["\u00e9", 1]], {}, "x", [["lamp", 1]] * 9):
        with board():
            Store().save("policy", {"security": 3, "floors": floors, "rest": 0, "revoked": []})
            policy = _policy()
            assert not _admits(policy, SIGNED[2]), floors
            assert _admits(policy, SIGNED[3])
            _proved(policy, 3)
            assert _admits(_policy(), SIGNED[3])
