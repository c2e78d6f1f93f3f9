"""Names of addresses, by the answers of DNS that passed."""

import ipaddress

import pytest
from mitmproxy import dns
from mitmproxy.test import tflow

from cos_inspect.proxy import resolved_names
from cos_inspect.proxy.resolved_names import ResolvedNames

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


def answered(name: str, *addresses: str) -> dns.DNSFlow:
    flow = tflow.tdnsflow()
    flow.request.questions[0].name = name
    records = [dns.ResourceRecord.CNAME(name, "another.example")]
    for address in addresses:
        if ":" in address:
            made = dns.ResourceRecord.AAAA("another.example", ipaddress.IPv6Address(address))
        else:
            made = dns.ResourceRecord.A("another.example", ipaddress.IPv4Address(address))
        records.append(made)
    flow.response = flow.request.succeed(records)
    return flow


def test_an_address_has_the_name_that_was_asked() -> None:
    names = ResolvedNames()
    names.add(answered(f"{HOST.upper()}.", "203.0.113.9", "2001:db8::9"))
    assert names.of("203.0.113.9") == names.of("2001:db8::9") == HOST
    assert names.of("203.0.113.10") == names.of(None) == ""


def test_the_last_question_counts_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolved_names, "_REMEMBERED", 2)
    names = ResolvedNames()
    names.add(answered("first.example", "203.0.113.1"))
    names.add(answered(HOST, "203.0.113.1"))
    assert names.of("203.0.113.1") == HOST
    names.add(answered("second.example", "203.0.113.2", "203.0.113.3"))
    assert names.of("203.0.113.1") == ""


def test_an_answer_without_a_question_or_addresses_is_none() -> None:
    names = ResolvedNames()
    flow = answered(HOST)
    names.add(flow)
    flow.response = None
    names.add(flow)
    flow.request.questions = []
    names.add(flow)
    assert names.of("203.0.113.9") == ""
