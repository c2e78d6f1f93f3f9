"""What is said where there was no COS traffic."""

from cos_inspect.report.nothing_seen import nothing_seen


def test_hosts_are_named_with_what_to_do() -> None:
    hosts = {f"h{number}.example.com": number for number in range(1, 8)}
    seen, hint = nothing_seen(hosts, option="--set cos_hosts='{}'", came=True)
    assert "7 to h7.example.com" in seen
    assert seen.endswith(", and 2 more hosts")
    assert hint.endswith("--set cos_hosts='h7.example.com'")


def test_a_proxy_that_nobody_used_says_how_to_use_it() -> None:
    seen, hint = nothing_seen({}, option="", came=False, proxy="127.0.0.1, port 8080")
    assert "no client" in seen
    assert "127.0.0.1, port 8080" in hint
    assert "mitm.it" in hint


def test_of_saved_traffic_no_proxy_is_spoken() -> None:
    assert list(nothing_seen({}, option="", came=False)) == ["seen       no HTTP flow"]


def test_connections_that_failed_have_their_own_lines() -> None:
    assert list(nothing_seen({}, option="", came=True, proxy="127.0.0.1, port 8080")) == []
