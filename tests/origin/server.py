"""A COS server on loopback, for tests.

``with Origin() as origin:`` starts two listeners on 127.0.0.1, plain and TLS
(any server name gets a certificate), in a thread with an event loop of its own.
"""

import asyncio
import collections
import contextlib
import random
import ssl
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.origin.certificates import Certificates
from tests.origin.checksums import sums_of
from tests.origin.connection import Connection, Options
from tests.origin.content import Content, Held, whole
from tests.origin.damage import Damage, DamageList
from tests.origin.errors import OriginError
from tests.origin.ids import Ids
from tests.origin.message import Fields, OriginRequest, Record
from tests.origin.service import Service
from tests.origin.sse import NONE, Sse
from tests.origin.store import Store, StoredObject

READ_BUFFER = 1 << 20


class Origin:
    """The server.

    - ``auto_buckets``: buckets come into being when they are first named.
    - ``min_part_size``: smallest part that is not the last, in bytes.
    - ``s3_delete_without_md5``: S3 clients may send another checksum than Content-MD5 with
      Delete Multiple Objects, which COS refuses.
    - ``append_crc``: Append Object answers with the CRC of the whole object.
    - ``hash_uploads_above``: bodies beyond so many bytes are not hashed; their ETag is
      random and they have no CRC. None: everything is hashed.
    - ``discard_uploads_above``: content beyond so many bytes is hashed, not kept.
    - ``seed``: ids are made from it and from the clock.
    """

    def __init__(
        self,
        *,
        auto_buckets: bool = True,
        min_part_size: int = 1 << 20,
        append_crc: bool = True,
        s3_delete_without_md5: bool = False,
        hash_uploads_above: int | None = None,
        discard_uploads_above: int | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        http_port: int = 0,
        https_port: int = 0,
        keep_requests: int = 10_000,
    ) -> None:
        self.http_port = http_port
        self.https_port = https_port
        self.custom_domains: dict[str, str] = {}
        """Further host names, lower case, and the buckets behind them."""
        self.requests: collections.deque[Record] = collections.deque(maxlen=keep_requests)
        """What arrived, in order; the oldest are forgotten first."""
        self.faults: list[str] = []
        """Tracebacks of mistakes in this server; a test may ask that there are none."""
        self.authorise: Callable[[OriginRequest], OriginError | None] | None = None
        """Judges every request's head before its body is read."""
        self.clock = clock
        """Seconds since the epoch; may be replaced while the server runs."""
        self.ids = Ids(random.Random(seed), self.now)
        self.service = Service(
            store=Store(auto_buckets),
            ids=self.ids,
            clock=self.now,
            min_part_size=min_part_size,
            append_crc=append_crc,
            s3_delete_without_md5=s3_delete_without_md5,
        )
        self.options = Options(hash_uploads_above, discard_uploads_above)
        self.damages = DamageList()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._stopping: asyncio.Event | None = None
        self._failure: BaseException | None = None

    @property
    def ca_pem(self) -> str:
        """Path of the CA certificate that the TLS listener's certificates lead to."""
        if self._folder is None:
            raise RuntimeError("the server is not running")
        return str(Path(self._folder.name) / "ca.pem")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cos-origin-")
        certificates = Certificates()
        certificates.write_ca(self.ca_pem)
        ready = threading.Event()
        context = certificates.server_context()
        self._thread = threading.Thread(
            target=self._run, args=(ready, context), name="cos-origin", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Closes every connection and waits for the thread. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join()
        if self._folder is not None:
            self._folder.cleanup()

    def _run(self, ready: threading.Event, context: ssl.SSLContext) -> None:
        try:
            asyncio.run(self._main(ready, context))
        except BaseException as failure:  # handed to the thread that called start()
            self._failure = failure
        finally:
            ready.set()

    async def _main(self, ready: threading.Event, context: ssl.SSLContext) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def serve(scheme: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                connection = Connection(self, scheme, reader, writer)
                task = asyncio.ensure_future(connection.run())
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            return accept

        plain = await asyncio.start_server(
            serve("http"), "127.0.0.1", self.http_port, limit=READ_BUFFER
        )
        secure = await asyncio.start_server(
            serve("https"),
            "127.0.0.1",
            self.https_port,
            limit=READ_BUFFER,
            ssl=context,
            ssl_shutdown_timeout=2.0,
        )
        self.http_port = plain.sockets[0].getsockname()[1]
        self.https_port = secure.sockets[0].getsockname()[1]
        ready.set()
        await self._stopping.wait()
        plain.close()
        secure.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def now(self) -> float:
        return self.clock()

    def note_fault(self) -> None:
        self.faults.append(traceback.format_exc())

    def damage(self, *items: Damage) -> None:
        """Switches damage on; ``heal`` switches all of it off."""
        self.damages.add(*items)

    def heal(self) -> None:
        self.damages.clear()

    def put_object(
        self,
        bucket: str,
        key: str,
        data: bytes | Content,
        *,
        etag: str | None = None,
        sse: Sse = NONE,
        headers: Fields | None = None,
        storage_class: str = "STANDARD",
        hashed: bool = True,
    ) -> StoredObject:
        """Stores an object past the wire. ``Repeated(pattern, size)`` makes a big one that
        costs no memory; ``hashed=False`` leaves the CRC out, as old objects have none."""
        content = Held([data]) if isinstance(data, bytes) else data
        sums = sums_of(content)
        with self.service.store.lock:
            stored = StoredObject(
                key=key,
                content=content,
                etag=etag or sse.etag(sums, self.ids),
                md5=sums.md5,
                crc64=sums.crc64 if hashed else None,
                modified=self.now(),
                headers=list(headers or [("Content-Type", "application/octet-stream")]),
                sse=sse,
                storage_class=storage_class,
            )
            home = self.service.store.bucket(bucket, now=self.now())
            home.add(stored, self.ids.version_id())
        return stored

    def make_bucket(self, bucket: str, versioning: str = "") -> None:
        with self.service.store.lock:
            known, self.service.store.auto_buckets = self.service.store.auto_buckets, True
            home = self.service.store.bucket(bucket, now=self.now())
            self.service.store.auto_buckets = known
            home.versioning = versioning

    def stored(self, bucket: str, key: str) -> StoredObject:
        """The current version. Raises ``OriginError`` where there is none."""
        with self.service.store.lock:
            if bucket not in self.service.store.buckets:
                raise OriginError("NoSuchBucket")
            return self.service.store.buckets[bucket].find(key)

    def get_object(self, bucket: str, key: str) -> bytes:
        """The stored bytes of the current version."""
        return whole(self.stored(bucket, key).content)
