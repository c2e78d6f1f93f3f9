"""What to say where there was no COS traffic: what was seen instead, and what to do."""

from collections.abc import Iterator, Mapping

from cos_inspect.report.terminal_text import one_line

_SHOWN = 5


def nothing_seen(
    hosts: Mapping[str, int], *, option: str, came: bool, proxy: str | None = None
) -> Iterator[str]:
    """Lines of the summary. ``hosts``: who was asked in flows that are no COS traffic; ``option``:
    the one that names further hosts of COS, with a place for one; ``came``: whether anything came
    at all; ``proxy``: what clients have to be set to, None for saved traffic."""
    if hosts:
        first = sorted(hosts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
        named = ", ".join(f"{count} to {one_line(host)}" for host, count in first)
        more = f", and {len(hosts) - _SHOWN} more hosts" if len(hosts) > _SHOWN else ""
        yield f"seen       {named}{more}"
        yield (
            "hint       if one of these is a custom or CDN domain of a bucket, name it:"
            f" {option.format(one_line(first[0][0]))}"
        )
    elif proxy is not None and not came:
        yield "seen       no client sent anything through this proxy"
        yield (
            f"hint       set the client's proxy to {proxy}, and have it trust mitmproxy's CA"
            " (http://mitm.it, through the proxy); cos-inspect doctor checks both"
        )
    elif not came:
        yield "seen       no HTTP flow"
