"""Services that tell addresses by HTTP."""

import pytest

from cos_inspect.cos.http_dns import http_dns_service


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("119.29.29.29", "Tencent Cloud HTTPDNS"),
        ("a.httpdns.aliyuncs.com.", "Alibaba Cloud HTTPDNS"),
        ("119.29.29.2", None),
        ("httpdns.aliyuncs.com.example.com", None),
        ("", None),
        (None, None),
    ],
)
def test_a_service_is_known_by_its_host(host: str | None, service: str | None) -> None:
    assert http_dns_service(host) == service
