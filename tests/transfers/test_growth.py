"""What several exchanges say together costs the same for each of them, however many there
are and in whatever order they come."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from cos_inspect.inspection.second_look import revision_of
from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.history import ObjectHistory, history_name
from cos_inspect.transfers.limits import LIVE, UNBOUNDED
from cos_inspect.transfers.observation import Observation
from tests.growth import assert_linear
from tests.transfers import build
from tests.transfers.build import body_of, crc64, failure, md5, seen

Work = Callable[[], object]


def live(observations: list[Observation]) -> None:
    """What is to be said of each is found anew where another changes it."""
    histories: dict[str, ObjectHistory] = {}
    known: dict[str, Observation] = {}
    for one in observations:
        known[one.flow_id] = one
        name = history_name(one)
        history = histories.setdefault(name, ObjectHistory.of(one))
        for flow_id in history.add(one, (), LIVE):
            if flow_id in known:
                revision_of(histories[history_name(known[flow_id])], known[flow_id])
    for history in histories.values():
        history.settle()


def saved(observations: list[Observation]) -> None:
    """All are taken in, then what is to be said of each is found once; nothing is forgotten."""
    histories: dict[str, ObjectHistory] = {}
    for one in observations:
        name = history_name(one)
        histories.setdefault(name, ObjectHistory.of(one)).add(one, (), UNBOUNDED, judge=False)
    for history in histories.values():
        history.settle()
    for one in observations:
        revision_of(histories[history_name(one)], one)


WAYS = {"live": live, "saved": saved}


def followed(exchanges: Iterable[Exchange], way: str) -> Work:
    """All that is done with exchanges beyond each alone."""
    observations = [seen(one) for one in exchanges]
    return lambda: WAYS[way](observations)


ORDERS: dict[str, Callable[[list[Exchange]], list[Exchange]]] = {
    "as-sent": lambda flows: flows,
    "backwards": lambda flows: flows[::-1],
    "shuffled": lambda flows: random.Random(7).sample(flows, len(flows)),
}


def any_order(test: Callable[..., None]) -> Any:
    """Live in each order, and saved."""
    ways = [("live", order) for order in ORDERS] + [("saved", "shuffled")]
    return pytest.mark.parametrize(("way", "order"), ways)(test)


DATA = b"0123456789abcdef" * 4096


@any_order
@pytest.mark.parametrize("kind", ["once", "twice", "one-number", "failed", "copied"])
def test_parts(kind: str, order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        data = b"x" * 100
        flows = []
        for number in range(1, count + 1):
            if kind == "copied":
                flows.append(
                    build.exchange(
                        f"p{number}",
                        "PUT",
                        f"/a?partNumber={number}&uploadId={build.UPLOAD}",
                        number,
                        sent={"x-cos-copy-source": f"{build.HOST}/b"},
                    )
                )
                continue
            listed = 1 if kind == "one-number" else number // 2 + 1 if kind == "twice" else number
            more = failure(503, "SlowDown") if kind == "failed" and number % 2 else {}
            flows.append(build.part(f"p{number}", listed, data, number, **more))
        listed_parts = [(number, md5(data)) for number in range(1, count + 1)]
        flows.append(build.complete("done", listed_parts, 1, count + 1))
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
def test_parts_sent_again_after_the_upload_was_completed(order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        data = b"x" * 100
        flows = [build.part(f"p{number}", number, data, number) for number in range(1, count + 1)]
        listed = [(number, md5(data)) for number in range(1, count + 1)]
        flows.append(build.complete("done", listed, 1, count + 1))
        flows += [
            build.part(f"q{number}", number, data, count + 1 + number)
            for number in range(1, count + 1)
        ]
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
def test_completes_of_one_upload(order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        data = b"x" * 100
        flows = [build.part(f"p{number}", number, data, number) for number in range(1, 9)]
        listed = [(number, md5(data)) for number in range(1, 9)]
        flows += [
            build.complete(f"c{number}", listed, 1, number + 10.0, **failure(503, "SlowDown"))
            for number in range(count)
        ]
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
@pytest.mark.parametrize(
    "kind", ["adjacent", "gaps", "equal", "overlapping", "nested", "versions", "cut", "pieces"]
)
def test_ranges_on_one_object(kind: str, order: str, way: str) -> None:
    step = 8

    def work_of(count: int) -> Work:
        data = DATA[: count * step]
        flows = []
        for number in range(count):
            first = number * step
            end = first + step
            more: dict[str, Any] = {}
            if kind == "gaps":
                end -= 1
            elif kind == "equal":
                first, end = 0, step
            elif kind == "overlapping":
                end = min(len(data), end + 3 * step)
            elif kind == "nested":
                first, end = 0, (number + 1) * step
            elif kind == "cut":
                more = {"cut_at": step // 2}
            elif kind == "pieces":
                first = (number % 50) * step
                end = first + step
            flows.append(build.ranged(f"r{number}", data, first, end, float(number), **more))
            if kind == "versions":
                other = data[::-1]
                flows.append(build.ranged(f"s{number}", other, first, end, number + 0.5))
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
def test_parts_among_other_steps(order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        data = b"x" * 100
        flows = [build.part(f"p{number}", number, data, number) for number in range(1, count + 1)]
        flows += [
            build.exchange(f"l{number}", "GET", f"/a?uploadId={build.UPLOAD}", number + 0.5)
            for number in range(count)
        ]
        flows += [build.part(f"q{number}", -1, data, number) for number in range(count)]
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
def test_where_pieces_are_joined(order: str, way: str) -> None:
    """Where a running CRC-64 is worth noting, asked for each answer."""

    def work_of(count: int) -> Work:
        data = DATA[: count * 8]
        flows = [
            build.ranged(f"r{number}", data, 0, (number + 1) * 8 - 4, float(number))
            for number in range(count)
        ]
        flows += [
            build.ranged(f"s{number}", data, number * 8, number * 8 + 8, number + 0.5)
            for number in range(count)
        ]
        observations = [seen(one) for one in ORDERS[order](flows)]

        def work() -> None:
            history = ObjectHistory.of(observations[0])
            for one in observations:
                if way == "live":
                    assert len(history.boundaries(one)) <= 128
                history.add(one, (), LIVE, judge=way == "live")
            history.settle()
            if way == "saved":
                assert all(len(offsets) <= 128 for _, offsets in history.overlaps())

        return work

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
def test_what_is_read_between_appends(order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        flows = []
        for number in range(count):
            flows.append(build.append(f"a{number}", b"data", 4, float(number), whole=b"x"))
            flows.append(
                build.exchange(
                    f"h{number}",
                    "HEAD",
                    "/log",
                    number + 0.5,
                    answered={
                        "ETag": f'"{number:032x}"',
                        "Content-Length": "4",
                        "x-cos-hash-crc64ecma": str(number),
                    },
                )
            )
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
@pytest.mark.parametrize("kind", ["get", "head", "put-and-get", "changing", "copies"])
def test_one_object(kind: str, order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        flows = []
        for number in range(count):
            data = b"v%d" % (number if kind == "changing" else 1)
            if kind == "head":
                flows.append(
                    build.exchange(
                        f"h{number}",
                        "HEAD",
                        "/a",
                        number,
                        answered={"ETag": f'"{md5(data)}"', "Content-Length": "2"},
                    )
                )
            elif kind == "copies":
                flows.append(
                    build.exchange(
                        f"c{number}",
                        "PUT",
                        "/b",
                        number,
                        sent={"x-cos-copy-source": f"{build.HOST}/a"},
                        answer=body_of(b"<CopyObjectResult/>", sample=True),
                    )
                )
            else:
                if kind != "get":
                    flows.append(build.put(f"w{number}", data, number + 0.1))
                flows.append(build.get(f"r{number}", data, number + 0.5))
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
@pytest.mark.parametrize("kind", ["failed", "unanswered", "succeeded", "marked", "clock"])
def test_tries_of_one_request(kind: str, order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        more = {
            "failed": failure(503, "SlowDown"),
            "unanswered": {"status": None, "error": "timed out"},
            "succeeded": {},
            "marked": {**failure(503, "SlowDown"), "sent": {"x-cos-sdk-retry": "true"}},
            "clock": failure(403, "RequestTimeTooSkewed"),
        }[kind]
        flows = [build.put(f"t{number}", b"x", float(number), **more) for number in range(count)]
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
@pytest.mark.parametrize("kind", ["chain", "gaps", "one-position", "anew"])
def test_appends_to_one_object(kind: str, order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        flows = []
        for number in range(count):
            position = {"chain": number * 4, "gaps": number * 5, "one-position": 0}.get(
                kind, number % 16 * 4
            )
            flows.append(
                build.append(
                    f"a{number}", b"data", position, float(number), whole=b"data" * (number % 5)
                )
            )
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 250, 4000, runs=1)


@any_order
@pytest.mark.parametrize("kind", ["objects", "uploads", "clients"])
def test_many_things_at_once(kind: str, order: str, way: str) -> None:
    def work_of(count: int) -> Work:
        flows = []
        for number in range(count):
            if kind == "uploads":
                upload = f"{number:064d}"
                flows.append(build.part(f"p{number}", 1, b"x", float(number), upload=upload))
            elif kind == "clients":
                client = f"10.0.{number // 250}.{number % 250}"
                flows.append(build.ranged(f"r{number}", DATA, 0, 8, float(number), client=client))
            else:
                flows.append(build.put(f"w{number}", b"x", float(number), key=f"k{number}"))
        return followed(ORDERS[order](flows), way)

    assert_linear(work_of, 500, 16_000, runs=1)


def test_heads_tell_of_what_many_clients_read() -> None:
    def work_of(count: int) -> Work:
        etag = f'"{md5(DATA)}"'
        flows = [
            build.ranged(f"r{number}", DATA, 0, 8, float(number), client=f"10.0.0.{number % 200}")
            for number in range(count)
        ]
        flows += [
            build.exchange(
                f"h{number}",
                "HEAD",
                "/a",
                count + float(number),
                answered={
                    "ETag": etag,
                    "Content-Length": str(len(DATA)),
                    "x-cos-hash-crc64ecma": str(crc64(DATA)),
                },
            )
            for number in range(count)
        ]
        return followed(flows, "live")

    assert_linear(work_of, 250, 4000, runs=1)
