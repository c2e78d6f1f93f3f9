"""Exchanges about a few objects, put together at random: any of them may fail, break off, come at
the same moment as another, or say something that is not so."""

import random
from typing import Any

from mitmproxy import http
from mitmproxy.flow import Error

from tests.analyze.stories import CRC, crc_of, digests, flow, refused, signed
from tests.transfers.build import HOST, md5, part_list

KEYS = ("a", "b")
UPLOADS = ("u1", "u2", "u3")
CLIENTS = ("10.0.0.7", "10.0.0.8")
SECRET_IDS = ("AKIDone" + "x" * 29, "AKIDtwo" + "x" * 29)
CONTENTS = [f"content {number} ".encode() * (10 + number) for number in range(4)]


class Soup:
    """Draws exchanges within ``span`` seconds; ``overlaps``: ranges may share bytes, of which live
    traffic needs the bodies while they pass."""

    def __init__(self, rest: random.Random, span: float, *, overlaps: bool) -> None:
        self._overlaps = overlaps
        self._rest = rest
        self._span = span
        self._made = 0

    def flows(self, count: int) -> list[http.HTTPFlow]:
        return [self.one() for _ in range(count)]

    def one(self) -> http.HTTPFlow:
        self._made += 1
        kind = self._rest.choice(
            [self.initiate, self.part, self.part, self.part, self.copied_part, self.complete,
             self.complete, self.abort, self.parts, self.head, self.get, self.ranged, self.ranged,
             self.put, self.append, self.append, self.delete, self.copy, self.listing]
        )  # fmt: skip
        made = kind(self._rest.choice(KEYS))
        return self._spoilt(made)

    def _flow(self, method: str, target: str, **more: Any) -> http.HTTPFlow:
        rest = self._rest
        # Some at the very same moment.
        at = rest.choice([round(rest.random() * self._span, 1), float(rest.randrange(4))])
        sent = dict(more.pop("sent", {}))
        if rest.random() < 0.5:
            sent |= signed(
                rest.choice(SECRET_IDS), token=rest.random() < 0.3, times=rest.randrange(3) * 100
            )
        if rest.random() < 0.2:
            sent["x-cos-sdk-retry"] = "true"
        return flow(
            f"f{self._made:03}-{rest.randrange(10**6):06}",
            method,
            target,
            at,
            sent=sent,
            took=rest.choice([0.1, 0.1, 2.0]),
            client=rest.choice(CLIENTS),
            scheme=rest.choice(["https", "https", "http"]),
            **more,
        )

    def _spoilt(self, made: http.HTTPFlow) -> http.HTTPFlow:
        rest, chance = self._rest, self._rest.random()
        response = made.response
        assert response is not None
        begun = made.request.timestamp_start
        if chance < 0.1:
            made.response, made.error = None, Error("connection lost", begun + 0.2)
        elif chance < 0.15 and response.raw_content:
            made.error = Error("server disconnected", begun + 0.2)
            response.raw_content = response.raw_content[:-1]
        elif chance < 0.25:
            wrong = rest.choice(
                [refused(503, "SlowDown"), refused(404, "NoSuchUpload"),
                 refused(412, "PreconditionFailed"), refused(403, "AccessDenied"),
                 refused(403, "RequestTimeTooSkewed"), refused(400, "InvalidPart"),
                 refused(200, "InternalError")]
            )  # fmt: skip
            response.status_code = wrong["status"]
            response.raw_content = wrong["answer"]
            response.headers["Content-Length"] = str(len(wrong["answer"]))
            for name in ("ETag", CRC):
                response.headers.pop(name, None)
        elif chance < 0.3 and CRC in response.headers:
            response.headers[CRC] = "77"
        elif chance < 0.33 and "ETag" in response.headers:
            response.headers["ETag"] = f'"{"0" * 32}"'
        elif chance < 0.35:
            made.request.timestamp_start = made.request.timestamp_end = 0.0
            response.timestamp_start, response.timestamp_end = 0.0, None
        return made

    def _body(self) -> bytes:
        return self._rest.choice(CONTENTS)

    def initiate(self, key: str) -> http.HTTPFlow:
        name = "InitiateMultipartUploadResult"
        text = f"<{name}><UploadId>{self._rest.choice(UPLOADS)}</UploadId></{name}>"
        more: dict[str, Any] = {}
        if self._rest.random() < 0.2:
            mode = {"x-cos-server-side-encryption": "cos/kms"}
            more = {"sent": mode, "answered": mode}
        return self._flow("POST", f"/{key}?uploads", answer=text.encode(), **more)

    def part(self, key: str) -> http.HTTPFlow:
        data, number = self._body(), self._rest.randint(1, 3)
        target = f"/{key}?partNumber={number}&uploadId={self._rest.choice(UPLOADS)}"
        return self._flow("PUT", target, body=data, answered=digests(data))

    def copied_part(self, key: str) -> http.HTTPFlow:
        data, number = self._body(), self._rest.randint(1, 3)
        target = f"/{key}?partNumber={number}&uploadId={self._rest.choice(UPLOADS)}"
        sent = {"x-cos-copy-source": f"{HOST}/{self._rest.choice(KEYS)}"}
        if self._rest.random() < 0.5:
            sent["x-cos-copy-source-range"] = f"bytes=0-{len(data) - 1}"
        text = f"<CopyPartResult><ETag>&quot;{md5(data)}&quot;</ETag></CopyPartResult>"
        return self._flow(
            "PUT", target, sent=sent, answer=text.encode(), answered={CRC: crc_of(data)}
        )

    def complete(self, key: str) -> http.HTTPFlow:
        rest = self._rest
        numbers = sorted(rest.sample([1, 2, 3], rest.randint(1, 3)))
        if rest.random() < 0.1:
            rest.shuffle(numbers)
        chosen = [(number, self._body()) for number in numbers]
        whole = b"".join(data for _, data in chosen)
        name = "CompleteMultipartUploadResult"
        text = f"<{name}><ETag>&quot;{md5(b'x')}-{len(chosen)}&quot;</ETag></{name}>"
        return self._flow(
            "POST",
            f"/{key}?uploadId={rest.choice(UPLOADS)}",
            body=part_list([(number, md5(data)) for number, data in chosen]),
            answer=text.encode(),
            answered={CRC: crc_of(whole)},
        )

    def abort(self, key: str) -> http.HTTPFlow:
        return self._flow("DELETE", f"/{key}?uploadId={self._rest.choice(UPLOADS)}")

    def parts(self, key: str) -> http.HTTPFlow:
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{md5(data)}&quot;</ETag>"
            f"<Size>{len(data)}</Size></Part>"
            for number, data in enumerate(self._rest.sample(CONTENTS, 2), 1)
        )
        upload = self._rest.choice(UPLOADS)
        text = f"<ListPartsResult><UploadId>{upload}</UploadId>{listed}</ListPartsResult>"
        return self._flow("GET", f"/{key}?uploadId={upload}", answer=text.encode())

    def head(self, key: str) -> http.HTTPFlow:
        data = self._whole()
        length = {"Content-Length": str(len(data))}
        return self._flow("HEAD", f"/{key}", answered=digests(data) | length)

    def get(self, key: str) -> http.HTTPFlow:
        data = self._whole()
        return self._flow("GET", f"/{key}", answer=data, answered=digests(data))

    def ranged(self, key: str) -> http.HTTPFlow:
        rest, data = self._rest, self._whole()
        edges = range(0, len(data) + 1, len(data) // 4)
        at = rest.randrange(len(edges) - 1)
        first, end = edges[at : at + 2]
        if self._overlaps:
            first, end = sorted(rest.sample(edges, 2))
        sent = {"Range": f"bytes={first}-{end - 1}"}
        if rest.random() < 0.3:
            sent[rest.choice(["If-Range", "If-Match"])] = f'"{md5(data)}"'
        got = data[first:end]
        if rest.random() < 0.1:
            got = b"X" + got[1:]
        return self._flow(
            "GET",
            f"/{key}",
            status=206,
            sent=sent,
            answer=got,
            answered=digests(data) | {"Content-Range": f"bytes {first}-{end - 1}/{len(data)}"},
        )

    def put(self, key: str) -> http.HTTPFlow:
        data = self._body()
        return self._flow("PUT", f"/{key}", body=data, answered=digests(data))

    def append(self, key: str) -> http.HTTPFlow:
        rest = self._rest
        before, data = rest.choice([b"", CONTENTS[0], CONTENTS[0] + CONTENTS[1]]), self._body()
        answered = {
            "ETag": f'"{md5(data)}"',
            "x-cos-next-append-position": str(len(before + data)),
            CRC: crc_of(before + data),
        }
        target = f"/{key}?append&position={len(before)}"
        return self._flow("POST", target, body=data, answered=answered)

    def delete(self, key: str) -> http.HTTPFlow:
        return self._flow("DELETE", f"/{key}", status=204)

    def copy(self, key: str) -> http.HTTPFlow:
        data = self._body()
        text = (
            f"<CopyObjectResult><ETag>&quot;{md5(data)}&quot;</ETag>"
            f"<CRC64>{crc_of(data)}</CRC64></CopyObjectResult>"
        )
        sent = {"x-cos-copy-source": f"{HOST}/{self._rest.choice(KEYS)}"}
        return self._flow("PUT", f"/{key}", sent=sent, answer=text.encode())

    def listing(self, _key: str) -> http.HTTPFlow:
        entries = "".join(
            f"<Contents><Key>{key}</Key><ETag>&quot;{md5(data)}&quot;</ETag>"
            f"<Size>{len(data)}</Size></Contents>"
            for key, data in zip(KEYS, self._rest.sample(CONTENTS, 2), strict=True)
        )
        text = f"<ListBucketResult>{entries}</ListBucketResult>"
        return self._flow("GET", "/?prefix=", answer=text.encode())

    def _whole(self) -> bytes:
        """What an object may be: one content, or several."""
        return b"".join(self._rest.sample(CONTENTS, self._rest.randint(1, 3)))
