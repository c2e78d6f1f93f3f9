"""Services that tell an app the addresses of hosts by HTTP: the app then goes to IP addresses."""

from functools import cache

from cos_inspect.cos.tables import rows


def http_dns_service(host: str | None) -> str | None:
    """The service that a host belongs to; None for any other host."""
    if not host:
        return None
    name = host.lower().removesuffix(".")
    exact = _services().get(name)
    if exact is not None:
        return exact
    return next(
        (
            service
            for suffix, service in _services().items()
            if suffix[0] == "." and name.endswith(suffix)
        ),
        None,
    )


@cache
def _services() -> dict[str, str]:
    return {row["host"]: row["service"] for row in rows("http_dns")}
