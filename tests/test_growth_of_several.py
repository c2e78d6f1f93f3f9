"""What is said of two flows, of list answers and of copies takes time in proportion to them."""

import asyncio
from collections.abc import Callable, Iterator

import msgspec
import pytest
from mitmproxy import http
from mitmproxy.test import taddons, tflow, tutils

from cos_inspect.inspection.session import Session
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.proxy.changes import changes_of
from cos_inspect.proxy.flows import request_head
from cos_inspect.report.compare import compare, proposed
from cos_inspect.report.comparison_text import comparison_text
from cos_inspect.report.terminal import flow_line
from tests.growth import assert_linear
from tests.rules.exchanges import CONTENT, CRC64, ETAG, HOST, exchange

Work = Callable[[], object]
BUCKET = HOST.partition(".")[0]
GOOD = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))


def inspected(exchanges: list[Exchange]) -> Work:
    """All of them in one session, each with an id of its own, a second apart."""
    flows = []
    for number, one in enumerate(exchanges):
        begun = one.timing.request_start
        assert begun is not None
        timing = msgspec.structs.replace(one.timing, request_start=begun + number)
        flows.append(msgspec.structs.replace(one, flow_id=f"flow-{number}", timing=timing))

    def work() -> None:
        session = Session()
        for one in flows:
            session.inspect(one)
        session.renew()
        session.settle()
        session.summary()
        session.close()

    return work


def listing(count: int) -> Exchange:
    row = "<Contents><Key>k{}</Key><ETag>&quot;{:032x}&quot;</ETag><Size>3</Size></Contents>"
    rows = "".join(row.format(number, number) for number in range(count))
    answer = f"<ListBucketResult><Name>{BUCKET}</Name>{rows}</ListBucketResult>".encode()
    return exchange(
        "GET", target="/", answer=answer, answer_headers=(("Content-Type", "application/xml"),)
    )


def test_a_list_answer() -> None:
    assert_linear(lambda count: inspected([listing(count)]), 200, 20_000)


def test_list_answers_of_many_objects() -> None:
    def work_of(count: int) -> Work:
        puts = [
            exchange("PUT", target=f"/k{number}", body=CONTENT, answer_headers=GOOD)
            for number in range(count)
        ]
        return inspected([*puts, listing(count)])

    assert_linear(work_of, 50, 1600, runs=2)


def test_one_object_listed_again_and_again() -> None:
    assert_linear(lambda count: inspected([listing(5)] * count), 50, 1600, runs=2)


@pytest.mark.parametrize("kind", ["one-source", "a-chain", "onto-itself"])
def test_copies(kind: str) -> None:
    def source(number: int) -> str:
        key = {"one-source": "source", "a-chain": f"c{number - 1}", "onto-itself": "c"}[kind]
        return f"{HOST}/{key}"

    def work_of(count: int) -> Work:
        copied = b"<CopyObjectResult><ETag>" + ETAG.encode() + b"</ETag></CopyObjectResult>"
        return inspected(
            [
                exchange(
                    "PUT",
                    target="/c" if kind == "onto-itself" else f"/c{number}",
                    headers=(("x-cos-copy-source", source(number)),),
                    answer=copied,
                )
                for number in range(count)
            ]
        )

    assert_linear(work_of, 50, 1600, runs=2)


def report_of(headers: tuple[tuple[str, str], ...], query: str = "") -> FlowReport:
    found = Session().inspect(exchange(target=f"/k?{query}", headers=headers, answer_headers=GOOD))
    assert found is not None
    return found.report


@pytest.mark.parametrize("part", ["headers", "equal-headers", "parameters"])
def test_two_flows_side_by_side(part: str) -> None:
    def made(count: int, value: str) -> FlowReport:
        names = ("x-cos-meta-{}", "x-cos-meta-a")[part == "equal-headers"]
        fields = [(names.format(number), f"{value}{number}") for number in range(count)]
        if part == "parameters":
            return report_of((), "&".join("=".join(each) for each in fields))
        return report_of(tuple(fields))

    def work_of(count: int) -> Work:
        first, second = made(count, "a"), made(count, "b")

        def work() -> None:
            comparison_text(first, second, compare(first, second))
            flow_line(first)

        return work

    assert_linear(work_of, 200, 10_000)


def test_the_flow_to_compare_with() -> None:
    one = report_of(())

    def work_of(count: int) -> Work:
        others = [msgspec.structs.replace(one, flow_id=f"flow-{each}") for each in range(count)]
        return lambda: proposed(one, others)

    assert_linear(work_of, 500, 100_000)


@pytest.fixture
def in_mitmproxy() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with taddons.context() as made:
        made.options.add_option("anticache", bool, False, "")
        yield
        made.master._legacy_log_events.uninstall()
    loop.close()


@pytest.mark.usefixtures("in_mitmproxy")
@pytest.mark.parametrize("kind", ["changed", "equal-names", "taken-away", "in-another-order"])
def test_headers_that_the_proxy_changed(kind: str) -> None:
    def work_of(count: int) -> Work:
        name = "x-a" if kind == "equal-names" else "x-{}"
        fields = [(name.format(each).encode(), f"v{each}".encode()) for each in range(count)]
        flow = tflow.tflow(req=tutils.treq(headers=http.Headers(fields)))
        came = request_head(flow.request)
        now = {
            "changed": [(key, value + b"!") for key, value in fields],
            "equal-names": [(key, value + b"!") for key, value in fields],
            "taken-away": [],
            "in-another-order": fields[::-1],
        }[kind]
        flow.request.headers = http.Headers(now)
        return lambda: changes_of(flow, came, None, host_rewritten=False)

    assert_linear(work_of, 200, 20_000)
