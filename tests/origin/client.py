"""A small HTTP client that reaches an ``Origin`` under any host name."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from tests.origin.server import Origin

BUCKET = "examplebucket-1250000000"
HOST = f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
TIMEOUT = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def get(self, name: str) -> str | None:
        return self.headers.get(name)

    @property
    def etag(self) -> str:
        return self.headers["ETag"].strip('"')

    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)

    @property
    def code(self) -> str | None:
        """The code in the error document."""
        return self.xml().findtext("Code")


class Client:
    """Opens a connection per request, so that damage to one leaves the next alone."""

    def __init__(self, origin: Origin, host: str = HOST) -> None:
        self.origin = origin
        self.host = host

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.origin.http_port, timeout=TIMEOUT)
        try:
            fields = {"Host": host or self.host, **(headers or {})}
            connection.request(method, target, body, fields)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def put(
        self, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        return self.send("PUT", target, body, headers)

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.send("GET", target, None, headers)

    def post(
        self, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        return self.send("POST", target, body, headers)
