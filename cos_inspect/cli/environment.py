"""What a client on this machine needs to come through the proxy, and whether it is there."""

import os
import platform
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import msgspec

from cos_inspect import __version__

_SECONDS = 3.0
_CA = "mitmproxy-ca-cert.pem"
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
_TRUST = {
    "REQUESTS_CA_BUNDLE": "Python (cos-python-sdk-v5, coscmd)",
    "NODE_EXTRA_CA_CERTS": "Node",
    "SSL_CERT_FILE": "Go, coscli, OpenSSL",
    "AWS_CA_BUNDLE": "boto3, aws-cli",
}
"""Variables that name the CA's file, and who reads them."""


class EnvironmentCheck(msgspec.Struct, frozen=True):
    """One thing that was looked at: what it is, whether it is fine, and what can be done."""

    what: str
    is_fine: bool
    said: str
    advice: str = ""


def look_around(
    *, port: int, host: str, confdir: Path, environment: Mapping[str, str] = os.environ
) -> Iterator[EnvironmentCheck]:
    """What was found, in the order in which it matters. Nothing is changed, and nothing is sent
    but a question to the name servers; each takes three seconds at most."""
    yield _versions()
    yield _port(port)
    ca = confdir / _CA
    yield _ca(ca)
    yield _proxy(port, environment)
    yield _no_proxy(host, environment)
    yield _trust(ca, environment)
    yield _resolves(host)


def _versions() -> EnvironmentCheck:
    try:
        mitmproxy = metadata.version("mitmproxy")
    except metadata.PackageNotFoundError:
        return EnvironmentCheck(
            "versions", False, "mitmproxy is not installed", "pip install mitmproxy"
        )
    said = f"cos-inspect {__version__}, mitmproxy {mitmproxy}, Python {platform.python_version()}"
    is_fine = sys.version_info >= (3, 12) and mitmproxy.partition(".")[0] == "12"
    return EnvironmentCheck(
        "versions",
        is_fine,
        said,
        "" if is_fine else "Python 3.12 or newer and mitmproxy 12 are needed",
    )


def _port(port: int) -> EnvironmentCheck:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(_SECONDS)
        answers = probe.connect_ex(("127.0.0.1", port)) == 0
    if answers:
        return EnvironmentCheck("port", True, f"something listens on 127.0.0.1:{port}")
    return EnvironmentCheck(
        "port",
        False,
        f"nothing listens on 127.0.0.1:{port}",
        "start the proxy: cos-inspect mitmweb; or name its port by --port",
    )


def _ca(ca: Path) -> EnvironmentCheck:
    try:
        text = ca.read_text("ascii", "replace")
    except OSError as error:
        return EnvironmentCheck(
            "CA",
            False,
            f"{ca}: {error.strerror or error}",
            "mitmproxy makes it when it starts for the first time; --confdir names another place",
        )
    if "BEGIN CERTIFICATE" not in text:
        return EnvironmentCheck(
            "CA", False, f"{ca} holds no certificate", "let mitmproxy make it anew"
        )
    return EnvironmentCheck("CA", True, str(ca))


def _proxy(port: int, environment: Mapping[str, str]) -> EnvironmentCheck:
    found = {name: environment[name] for name in _PROXIES if environment.get(name)}
    wanted = f"http://127.0.0.1:{port}"
    if not found:
        return EnvironmentCheck(
            "HTTPS_PROXY",
            False,
            "no client that is started here is led to the proxy by the environment",
            f"export HTTPS_PROXY={wanted} HTTP_PROXY={wanted}, or set the proxy in the client"
            " (Java and the browsers read no variable)",
        )
    others = [name for name, value in found.items() if f":{port}" not in value]
    if others:
        return EnvironmentCheck(
            "HTTPS_PROXY",
            False,
            f"{', '.join(others)}: another proxy than the one on port {port}",
            f"export HTTPS_PROXY={wanted} HTTP_PROXY={wanted}",
        )
    return EnvironmentCheck("HTTPS_PROXY", True, f"{', '.join(found)}: port {port}")


def _no_proxy(host: str, environment: Mapping[str, str]) -> EnvironmentCheck:
    for name in ("NO_PROXY", "no_proxy"):
        for each in environment.get(name, "").split(","):
            suffix = each.strip().lower().removeprefix("*").removeprefix(".")
            if each.strip() == "*" or (suffix and f".{host}".endswith(f".{suffix}")):
                return EnvironmentCheck(
                    "NO_PROXY",
                    False,
                    f"{name} has {each.strip()}: clients go to {host} past the proxy",
                    f"unset {name}, or take it out of there",
                )
    return EnvironmentCheck("NO_PROXY", True, "keeps no COS host from the proxy")


def _trust(ca: Path, environment: Mapping[str, str]) -> EnvironmentCheck:
    missing = [f"{name} ({who})" for name, who in _TRUST.items() if not environment.get(name)]
    other = [
        name
        for name in _TRUST
        if environment.get(name) and not _is_same(Path(environment[name]), ca)
    ]
    if other:
        return EnvironmentCheck(
            "trust",
            False,
            f"{', '.join(other)}: another file than mitmproxy's CA",
            f"export {' '.join(f'{name}={ca}' for name in other)}",
        )
    if missing:
        return EnvironmentCheck(
            "trust",
            False,
            f"not set: {', '.join(missing)}",
            f"export the one that your client reads, as {ca}; the README's table names it",
        )
    return EnvironmentCheck("trust", True, "all variables name mitmproxy's CA")


def _is_same(one: Path, other: Path) -> bool:
    """Whether one holds what the other holds: a bundle may hold more."""
    try:
        return other.read_bytes().strip() in one.read_bytes()
    except OSError:
        return False


def _resolves(host: str) -> EnvironmentCheck:
    """The resolver cannot be told to hurry, so it is waited for in a thread."""
    found: list[str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, 443, proto=socket.IPPROTO_TCP)
            found.append(", ".join(sorted({str(answer[4][0]) for answer in answers})[:3]))
        except (OSError, UnicodeError) as error:
            found.append("")
            found.append(getattr(error, "strerror", None) or str(error))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_SECONDS)
    if not found:
        return EnvironmentCheck(
            "name servers", False, f"no answer for {host} in {_SECONDS:.0f} s", _UNRESOLVED
        )
    if not found[0]:
        why = found[1] if len(found) > 1 else "it does not resolve"
        return EnvironmentCheck("name servers", False, f"{host}: {why}", _UNRESOLVED)
    return EnvironmentCheck("name servers", True, f"{host} is {found[0]}")


_UNRESOLVED = (
    "the proxy resolves names for its clients: look at this machine's name servers, or use"
    " --mode upstream where there is a proxy between here and COS"
)
