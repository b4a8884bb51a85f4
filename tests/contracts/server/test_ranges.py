"""Range and conditional requests against a slow, plain reading of RFC 9110."""

from hypothesis import example, given
from hypothesis import strategies as st

from thermokeeper.server.http.ranges import Decision, decide, single_range

ETAG = '"abc"'


def _expected(specs: str, size: int) -> tuple[int, int] | str | None:
    """By counting positions, one after another, for sizes that are small enough."""
    wanted = [spec.strip(" \t") for spec in specs.split(",") if spec.strip(" \t")]
    if len(wanted) != 1:
        return None
    first, dash, last = wanted[0].partition("-")
    if not dash or not all(char in "0123456789" for char in first + last) or not first + last:
        return None
    if not first:
        chosen = list(range(size))[-int(last) :] if int(last) else []
    elif last and int(last) < int(first):
        return None
    else:
        chosen = [
            position for position in range(size) if int(first) <= position and (not last or position <= int(last))
        ]
    return (chosen[0], chosen[-1] + 1) if chosen else "unsatisfiable"


_number = st.integers(0, 80).map(str) | st.just("") | st.just("0012") | st.just("9" * 30)
_plausible = st.builds(lambda a, b, pad: f"{pad}{a}-{b}{pad}", _number, _number, st.sampled_from(["", " ", "\t", ","]))
_specs = _plausible | st.lists(_plausible, max_size=3).map(",".join) | st.text("0123456789-, =x²", max_size=12)


@given(_specs, st.integers(1, 60))
@example("0-0", 1)
@example("-0", 5)
@example("5-", 5)
@example("4-", 5)
@example("-", 5)
@example("", 5)
@example("3-2", 5)
@example("0-4, 2-3", 5)
def test_a_range_is_what_counting_gives(specs, size):
    assert single_range(f"bytes={specs}", size) == _expected(specs, size)
    assert single_range(f"BYTES={specs}", size) == _expected(specs, size)


@given(st.text(max_size=20))
def test_other_units_and_nonsense_are_ignored(text):
    if not text.strip().lower().startswith("bytes="):
        assert single_range(text, 100) is None


def test_thousands_of_digits_are_ignored_not_converted():
    assert single_range("bytes=" + "9" * 6000 + "-", 100) is None


def test_a_range_counts_only_with_a_matching_if_range():
    assert decide(10, ETAG, range_="bytes=5-") == Decision(206, 5, 10)
    assert decide(10, ETAG, range_="bytes=5-", if_range=ETAG) == Decision(206, 5, 10)
    for other in ('"abd"', 'W/"abc"', "abc", "Sat, 21 Nov 2026 20:13:18 GMT", ""):
        assert decide(10, ETAG, range_="bytes=5-", if_range=other) == Decision(200, 0, 10)
        assert decide(10, ETAG, range_="bytes=99-", if_range=other) == Decision(200, 0, 10)
    assert decide(10, ETAG, range_="bytes=99-") == Decision(416)


_tag = st.sampled_from(['"abc"', 'W/"abc"', '"x,y"', 'W/""', '"abcd"', '"ü"'])


@given(st.lists(_tag, max_size=4), st.sampled_from([",", ", ", " , "]))
def test_lists_of_etags_compare_strongly_for_if_match_and_weakly_for_if_none_match(tags, comma):
    header = comma.join(tags)
    assert (decide(10, ETAG, if_match=header).status == 200) == (ETAG in tags)
    assert (decide(10, ETAG, if_none_match=header).status == 304) == (ETAG in tags or f"W/{ETAG}" in tags)


def test_conditions_are_tried_in_the_order_of_the_rfc():
    assert decide(10, ETAG, if_match='"x"', if_none_match=ETAG, range_="bytes=99-").status == 412
    assert decide(10, ETAG, if_match="*", if_none_match="*", range_="bytes=99-").status == 304
    assert decide(10, ETAG, if_match=ETAG, if_none_match='"x"', range_="bytes=99-").status == 416
    assert decide(10, ETAG, if_match="abc").status == 412, "an unquoted tag is none"


@given(*[st.none() | st.text(max_size=30)] * 4)
def test_no_header_breaks_the_decision(if_match, if_none_match, if_range, range_):
    found = decide(7, ETAG, if_match=if_match, if_none_match=if_none_match, if_range=if_range, range_=range_)
    assert found.status in (200, 206, 304, 412, 416)
    assert 0 <= found.start <= found.end <= 7
