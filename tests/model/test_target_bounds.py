from hypothesis import assume, given
from hypothesis import strategies as st

from cos_inspect.cos.target import parse_query
from cos_inspect.model.target_bounds import (
    MAX_PATH,
    MAX_QUERY,
    error_within,
    host_within,
    is_read_in_part,
    method_within,
    reason_within,
    target_within,
    without_mark,
)

LENGTHS = st.integers(0, 3) | st.integers(MAX_PATH - 3, MAX_QUERY + 3)
PIECES = st.sampled_from(["a", "/", "%41", "腾", "=", "a/b"])


@st.composite
def targets(draw: st.DrawFn) -> str:
    path, query = (
        (draw(PIECES) * draw(LENGTHS))[: draw(LENGTHS)] + draw(st.text("ab/", max_size=3))
        for _ in range(2)
    )
    return f"/{path}?{query}" if query else f"/{path}"


@given(targets())
def test_no_more_is_kept_than_is_read(target: str) -> None:
    path, _, query = target.partition("?")
    kept = target_within(target)
    is_long = len(path) > MAX_PATH or len(query) > MAX_QUERY
    assert is_read_in_part(kept.text) == is_long
    parts = ([path] if len(path) > MAX_PATH else []) + ([query] if len(query) > MAX_QUERY else [])
    assert kept.unread == "?".join(parts)
    assert len(kept.text) <= MAX_PATH + MAX_QUERY + 120
    if not is_long:
        assert kept.text == target
    kept_path, _, kept_query = kept.text.partition("?")
    assert (kept_path == path) == (len(path) <= MAX_PATH)
    assert (kept_query == query) == (len(query) <= MAX_QUERY)
    assert target_within(kept.text) == (kept.text, "")


@given(targets(), targets())
def test_different_ones_stay_different(one: str, other: str) -> None:
    assume(one != other)
    assert target_within(one).text != target_within(other).text


@given(st.lists(st.integers(1, MAX_QUERY), max_size=5))
def test_of_a_query_longer_than_any_the_first_whole_parameters_are_read(lengths: list[int]) -> None:
    pieces = [f"p{number}={'x' * length}" for number, length in enumerate(lengths)]
    target = target_within(f"/k?{'&'.join(pieces)}").text
    read = [f"{name}={value}" for name, value in parse_query(target)]
    assert read == pieces[: len(read)]
    assert is_read_in_part(target) == (len(read) < len(pieces))
    if len(read) < len(pieces):
        assert len("&".join(pieces[: len(read) + 1])) >= MAX_QUERY


def test_a_path_is_cut_where_a_segment_ends() -> None:
    shown = target_within(f"/bucket/{'segment/' * 10_000}?acl").text
    assert shown.startswith("/bucket/segment/segment/")
    assert shown.endswith(">?acl")
    assert shown.partition("<")[0].endswith("/segment/")
    assert target_within("/" + "a" * 10_000).text.startswith("/<10001-characters-")


def test_what_a_client_writes_so_itself_is_read_on() -> None:
    mark = target_within("/" + "a" * 10_000).text[1:]
    assert without_mark(f"a=b&{mark}") == "a=b&"
    assert not is_read_in_part("/a<b-characters-sha256->?c")


@given(st.text(min_size=1, max_size=300))
def test_hosts(host: str) -> None:
    assert host_within(host) == host
    long = host * 1021
    assert len(host_within(long)) < 60
    assert host_within(long) != host_within(f"{long}a")


@given(st.text(max_size=200))
def test_methods(method: str) -> None:
    assert len(method_within(method)) <= len(method.upper())
    assert len(method_within(method * 10_000)) < 300
    if len(method) <= 64:
        assert method_within(method) == method.upper()


@given(st.text(min_size=1, max_size=300))
def test_reasons_and_errors(said: str) -> None:
    assert reason_within(said) == error_within(said) == said
    long = said * 5000
    assert len(reason_within(long)) < 60
    shown = error_within(f"begin {long} end")
    assert shown.startswith("begin ")
    assert shown.endswith(" end")
    assert len(shown) < 1400


def test_what_a_message_says_of_its_refusal_is_read_to_its_end() -> None:
    said = f"Received {'a' * 100_000} from client, refusing to prevent request smuggling attacks"
    assert "refusing to prevent request smuggling attacks" in error_within(said)
