"""The benchmark's case of packets: what ``analyze`` needs for a large capture of uploads and
downloads, in the clear and encrypted with the keys at hand."""

import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.benchmark_many import analyzed
from tests.saved.wire import tls_made
from tests.saved.wire.exchanges_made import get, put
from tests.saved.wire.packets_made import CLIENT, Conversation, frames, pcap

_MIB = 1 << 20
_BODY = 3 * _MIB
"""Bytes of each upload and each download."""
_FILE_HEAD = 24
"""Bytes of a classic capture before its first packet."""


def capture(path: Path, keys: Path | None, connections: int, size: int) -> None:
    """Connections with an upload and a download each, in segments of ``size`` bytes; encrypted
    where ``keys`` names the file for their secrets."""
    body = os.urandom(_BODY)
    with path.open("wb") as file:
        for number in range(connections):
            conversation = Conversation((CLIENT[0], 20_000 + number), size=size)
            sent = []
            for made in (put(f"up{number}", body), get(f"down{number}", body)):
                sent.append(tls_made.Sent("client", made.request))
                sent.append(tls_made.Sent("server", made.answer))
            if keys is None:
                for each in sent:
                    conversation.send(each.side, each.data)
            else:
                connection = tls_made.connect(sent)
                with keys.open("ab") as log:
                    log.write(connection.key_log)
                for event in connection.events:
                    if isinstance(event, tls_made.Data):
                        conversation.send(event.side, event.data)
            conversation.close()
            data = pcap(frames(conversation.packets))
            file.write(data[_FILE_HEAD if number else 0 :])


def packets_case(connections: int = 45) -> Iterator[dict[str, Any]]:
    """In packets as a network has them, and as large as loopback has them."""
    with tempfile.TemporaryDirectory(prefix="cos-benchmark-") as home:
        for number, (how, size) in enumerate(
            (how, size) for how in ("in the clear", "over TLS 1.3") for size in (1448, 64_000)
        ):
            path = Path(home) / f"{number}.pcap"
            keys = None if how == "in the clear" else Path(home) / f"{number}.keys"
            capture(path, keys, connections, size)
            more = () if keys is None else (f"--keys={keys}",)
            before = _cpu_seconds()
            peak = analyzed(path, Path(home) / f"reports-{number}", 1, *more)
            cpu = _cpu_seconds() - before
            verdicts = peak.summary["counts"]["verdict"]
            if verdicts != {"ok": 2 * connections}:
                raise RuntimeError(f"clean traffic is accused, or lost: {verdicts}")
            yield {
                "case": f"analyze, packets {how}, of {size} bytes",
                "MB": round(path.stat().st_size / 1e6),
                "seconds": f"{peak.seconds:.1f}",
                "CPU seconds": f"{cpu:.1f}",
                "peak MiB": peak.bytes >> 20,
            }
            path.unlink()


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    for case in packets_case(*map(int, sys.argv[1:])):
        print(case, flush=True)
