"""The recognition tables: whole, without doubles, and each row good for something."""

import re
from collections import Counter

import pytest

from cos_inspect.cos.client import read_client
from cos_inspect.cos.endpoint import custom_endpoint, read_endpoint
from cos_inspect.cos.operation import read_operation
from cos_inspect.cos.tables import rows
from cos_inspect.model.headers import Headers

KEYS = {
    "checks": ("check",),
    "ci_paths": ("path",),
    "client_referers": ("prefix",),
    "client_setup": ("client", "order"),
    "clients": ("pattern",),
    "connections": ("failed",),
    "host_mistakes": ("mistake",),
    "host_templates": ("template",),
    "hosts": ("form",),
    "marks": ("role", "header"),
    "other_hosts": ("pattern",),
    "operations": ("family", "level", "method", "path", "query", "header", "content_type"),
    "parameters": ("name",),
    "platforms": ("token",),
    "regions": ("code",),
    "signature_mistakes": ("name",),
    "signed_headers": ("name",),
    "skips": ("reason",),
    "sse": ("mode",),
    "sse_algorithms": ("word", "header"),
    "syntaxes": ("syntax",),
    "trust": ("platform",),
}

SOURCED = (
    "ci_paths",
    "client_referers",
    "clients",
    "errors",
    "headers",
    "host_templates",
    "hosts",
    "operations",
    "other_hosts",
    "parameters",
    "regions",
    "sse_algorithms",
)

HOSTS = {
    "xml": "b-1250000000.cos.ap-beijing.myqcloud.com",
    "ci": "b-1250000000.ci.ap-beijing.myqcloud.com",
    "ci-path": "b-1250000000.ci.ap-beijing.myqcloud.com",
    "pic": "b-1250000000.pic.ap-beijing.myqcloud.com",
    "website": "b-1250000000.cos-website.ap-beijing.myqcloud.com",
    "batch": "100000000001.cos-control.ap-beijing.myqcloud.com",
    "fetch": "ap-beijing.migration.myqcloud.com",
    "vectors": "vectors.ap-guangzhou.coslake.com",
    "json-legacy": "gz.file.myqcloud.com",
}
SERVICE_HOST = "service.cos.myqcloud.com"


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_unique(name: str) -> None:
    counts = Counter(tuple(row[column] for column in KEYS[name]) for row in rows(name))
    assert counts
    assert [key for key, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("name", SOURCED)
def test_every_fact_has_a_source(name: str) -> None:
    assert [row for row in rows(name) if not row["source"].strip()] == []


def test_regions_stand_for_regions() -> None:
    codes = {row["code"] for row in rows("regions")}
    assert {row["canonical"] for row in rows("regions")} <= codes
    for row in rows("regions"):
        assert (row["code"] != row["canonical"]) is row["area"].startswith("legacy")


@pytest.mark.parametrize("row", rows("clients"), ids=lambda row: str(row["name"] or row["example"]))
def test_every_client_row_matches_its_example(row: dict[str, str]) -> None:
    client = read_client(row["example"])
    assert client is not None
    found = re.match(row["pattern"], row["example"])
    assert found is not None
    assert client.name == (row["name"] or found["name"])
    assert client.kind == row["kind"]


@pytest.mark.parametrize("row", rows("operations"), ids=lambda row: " ".join(row.values()))
def test_every_operation_can_be_met(row: dict[str, str]) -> None:
    method = row["method"].split(",")[0]
    family = row["family"].split(",")[0]
    level = row["level"].split(",")[-1]
    host = SERVICE_HOST if level == "service" else HOSTS[family]
    path = {"object": "/k", "bucket": "/", "service": "/"}[level]
    if family == "json-legacy":
        path = "/files/v2/1250000000/b/k"
    if row["path"]:
        path = row["path"].replace("{ci}", "jobs").replace("*", "x-1250000000")
    wanted = "" if row["query"] in ("-", "--") else row["query"].replace("{value}", "some-value")
    query = wanted.replace("*", "x" if wanted.endswith("/*") else "/x")
    target = f"{path}?{query}" if query else path
    fields = []
    if row["header"]:
        fields.append((row["header"].split("|")[0], "x"))
    if row["content_type"]:
        fields.append(("content-type", row["content_type"] + "; boundary=x"))
    endpoint = read_endpoint(host, target)
    assert endpoint is not None
    found = read_operation(endpoint, method, target, Headers(fields))
    name = row["name"].replace("{value}", "some-value").replace("{noun}", "Jobs")
    assert found.name == name
    assert found.sends == row["sends"]
    assert row["answer"] in (found.answer, "{ci}")
    for flag in row["flags"].split():
        assert getattr(found, flag) is True


@pytest.mark.parametrize("row", rows("ci_paths"), ids=lambda row: str(row["path"]))
def test_every_ci_path_is_an_operation(row: dict[str, str]) -> None:
    target = f"/{row['path']}"
    endpoint = read_endpoint(HOSTS["ci"], target)
    assert endpoint is not None
    found = read_operation(endpoint, "GET", target, Headers())
    assert found.name == f"CI:List{row['noun']}"


@pytest.mark.parametrize("row", rows("parameters"), ids=lambda row: str(row["name"]))
def test_neutral_parameters_name_no_operation(row: dict[str, str]) -> None:
    for method, value, name in (
        ("GET", "v", "GetBucket"),
        ("GET", "", "GetBucket" if row["empty"] == "yes" else "Unknown"),
        ("DELETE", "v", "DeleteBucket" if row["role"] in ("signature", "client") else "Unknown"),
    ):
        target = f"/?{row['name'].replace('*', 'x')}={value}"
        found = read_operation(custom_endpoint("a.example", target), method, target, Headers())
        assert found.name == name, (method, target)
