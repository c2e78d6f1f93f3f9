import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.endpoint import (
    Endpoint,
    custom_endpoint,
    has_cos_marks,
    is_cdn,
    is_other_host,
    read_endpoint,
    request_looks_like_cos,
)
from cos_inspect.model.headers import Headers

B = "examplebucket-1250000000"


def endpoint(host: str, target: str = "/") -> Endpoint:
    found = read_endpoint(host, target)
    assert found is not None, host
    return found


@pytest.mark.parametrize(
    ("host", "form", "kind", "family", "bucket", "region"),
    [
        (
            f"{B}.cos.ap-guangzhou.myqcloud.com",
            "bucket-default",
            "default",
            "xml",
            B,
            "ap-guangzhou",
        ),
        (
            f"{B}.cos.ap-beijing-1.tencentcos.cn",
            "bucket-default",
            "default",
            "xml",
            B,
            "ap-beijing-1",
        ),
        (
            f"{B}.cos.ap-shanghai-fsi.myqcloud.com",
            "bucket-default",
            "default",
            "xml",
            B,
            "ap-shanghai-fsi",
        ),
        (f"{B}.cos.xx-newplace.myqcloud.com", "bucket-default", "default", "xml", B, "xx-newplace"),
        (f"{B}.cos.cn-north.myqcloud.com", "bucket-default", "default", "xml", B, "ap-beijing-1"),
        (
            f"{B}.cos-internal.ap-seoul.tencentcos.cn",
            "bucket-internal",
            "internal",
            "xml",
            B,
            "ap-seoul",
        ),
        (
            f"{B}.cos-internal.ap-seoul.myqcloud.com",
            "bucket-internal",
            "internal",
            "xml",
            B,
            "ap-seoul",
        ),
        (
            f"{B}.cos-c-internal.ap-seoul.tencentcos.cn",
            "bucket-internal",
            "internal",
            "xml",
            B,
            "ap-seoul",
        ),
        (
            f"{B}.cos-dualstack.ap-tokyo.myqcloud.com",
            "bucket-dualstack",
            "default",
            "xml",
            B,
            "ap-tokyo",
        ),
        (f"{B}.cos.accelerate.myqcloud.com", "bucket-accelerate", "accelerate", "xml", B, None),
        (
            f"{B}.cos-internal.accelerate.tencentcos.cn",
            "bucket-accelerate",
            "accelerate",
            "xml",
            B,
            None,
        ),
        (f"{B}.global.tencentcos.cn", "bucket-global", "accelerate", "xml", B, None),
        (
            f"{B}.cos-website.ap-mumbai.myqcloud.com",
            "bucket-website",
            "website",
            "website",
            B,
            "ap-mumbai",
        ),
        ("service.cos.myqcloud.com", "service", "service", "xml", None, None),
        (
            "a-x--1250000000.cosrapid.ap-guangzhou.myqcloud.com",
            "rapid-bucket",
            "default",
            "xml",
            "a-x--1250000000",
            "ap-guangzhou",
        ),
        (
            "a-x--1250000000.cos-rapid.ap-guangzhou.tencentcos.com",
            "rapid-bucket-older",
            "default",
            "xml",
            "a-x--1250000000",
            "ap-guangzhou",
        ),
        (
            "service.cosrapid.ap-beijing.myqcloud.com",
            "rapid-service",
            "service",
            "xml",
            None,
            "ap-beijing",
        ),
        ("service.cos.tencentcos.cn", "service", "service", "xml", None, None),
        ("service.cos-internal.tencentcos.cn", "service", "service", "xml", None, None),
        ("service.cos.ap-beijing.tencentcos.cn", "service", "service", "xml", None, "ap-beijing"),
        ("cos.ap-beijing.myqcloud.com", "path-default", "service", "xml", None, "ap-beijing"),
        (
            "cos-internal.ap-beijing.tencentcos.cn",
            "path-internal",
            "service",
            "xml",
            None,
            "ap-beijing",
        ),
        (f"{B}.ci.ap-beijing.myqcloud.com", "ci-bucket", "ci", "ci", B, "ap-beijing"),
        (f"{B}.ci.ap-beijing.tencentci.cn", "ci-bucket", "ci", "ci", B, "ap-beijing"),
        ("ci.ap-beijing.myqcloud.com", "ci-region", "ci", "ci", None, "ap-beijing"),
        ("1250000000.ci.ap-beijing.myqcloud.com", "ci-appid", "ci", "ci", None, "ap-beijing"),
        ("service.ci.myqcloud.com", "ci-service", "ci", "ci", None, None),
        ("service.pic.myqcloud.com", "ci-service", "ci", "ci", None, None),
        (f"{B}.pic.ap-chengdu.myqcloud.com", "pic-bucket", "ci", "pic", B, "ap-chengdu"),
        (f"{B}.picsh.myqcloud.com", "pic-legacy", "ci", "pic", B, "ap-shanghai"),
        (f"{B}.image.myqcloud.com", "image-legacy", "ci", "pic", B, None),
        (f"{B}.preview.myqcloud.com", "image-legacy", "ci", "pic", B, None),
        (
            "100000000001.cos-control.ap-beijing.myqcloud.com",
            "batch",
            "control",
            "batch",
            None,
            "ap-beijing",
        ),
        ("ap-beijing.migration.myqcloud.com", "fetch", "control", "fetch", None, "ap-beijing"),
        ("vectors.ap-guangzhou.coslake.com", "vectors", "service", "vectors", None, "ap-guangzhou"),
        (
            "vectors.ap-guangzhou.internal.tencentcos.com",
            "vectors",
            "service",
            "vectors",
            None,
            "ap-guangzhou",
        ),
        (
            "cos-vectors.ap-guangzhou.myqcloud.com",
            "vectors-legacy",
            "service",
            "vectors",
            None,
            "ap-guangzhou",
        ),
        (f"{B}.file.myqcloud.com", "cdn-default", "cdn", "xml", B, None),
        (f"{B}.costj.myqcloud.com", "bucket-legacy-download", "legacy", "xml", B, "ap-beijing-1"),
        (f"{B}.cossgp.myqcloud.com", "bucket-legacy-download", "legacy", "xml", B, "ap-singapore"),
        ("gz.file.myqcloud.com", "json-v4", "legacy", "json-legacy", None, "ap-guangzhou"),
        ("web.file.myqcloud.com", "json-v3", "legacy", "json-legacy", None, None),
        (f"{B}.sg.myqcloud.com", "bucket-legacy-region", "legacy", "xml", B, "ap-singapore"),
        (
            f"{B}.cn-south-2.myqcloud.com",
            "bucket-legacy-region",
            "legacy",
            "xml",
            B,
            "ap-guangzhou-2",
        ),
    ],
)
def test_host_forms(
    host: str, form: str, kind: str, family: str, bucket: str | None, region: str | None
) -> None:
    found = endpoint(host)
    assert (found.host_form, found.kind, found.family) == (form, kind, family)
    assert (found.bucket, found.region, found.key) == (bucket, region, None)


@pytest.mark.parametrize(
    "host",
    [
        "evilmyqcloud.com",
        "myqcloud.com",
        "tencentcos.com",
        "cosrapid.ap-guangzhou.myqcloud.com",
        "foo.myqcloud.com",
        f"{B}.cos.ap-guangzhou.myqcloud.com.evil.com",
        f"{B}.cos.ap-guangzhou.evilmyqcloud.com",
        "cas.ap-guangzhou.myqcloud.com",
        "x.cas.ap-guangzhou.myqcloud.com",
        "foo.sg.myqcloud.com",
        "foo.file.myqcloud.com",
        "a.b.cos.ap-guangzhou.myqcloud.com",
        "-a.cos.ap-guangzhou.myqcloud.com",
        f"{'a' * 300}.cos.ap-guangzhou.myqcloud.com",
        "127.0.0.1",
        "::1",
        "s3.amazonaws.com",
        "",
    ],
)
def test_other_hosts_are_not_cos(host: str) -> None:
    assert read_endpoint(host, "/") is None


@pytest.mark.parametrize(
    ("bucket", "appid"),
    [
        (B, "1250000000"),
        ("lifecycletest-73196696", "73196696"),
        ("sevenyounorthtest-7319456", "7319456"),
        ("wechat-12567014540", None),
        ("mybucket", None),
        ("my-bucket", None),
        ("a-0123456789", None),
    ],
)
def test_appid(bucket: str, appid: str | None) -> None:
    found = endpoint(f"{bucket}.cos.ap-chengdu.myqcloud.com")
    assert (found.bucket, found.appid) == (bucket, appid)


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/", None),
        ("/?acl", None),
        ("*", None),
        ("", None),
        ("/a/b.txt", "a/b.txt"),
        ("/a+b%20c?x=1", "a+b c"),
        ("/%E8%85%BE%E8%AE%AF%E4%BA%91.jpg", "腾讯云.jpg"),
        ("/%FF.bin", "\ufffd.bin"),
        ("/a%2Fb%3Fc", "a/b?c"),
        ("//a", "/a"),
        ("/100%", "100%"),
        (f"http://{B}.cos.ap-beijing.myqcloud.com/a?b", "a"),
        ("http://example.com?acl", None),
    ],
)
def test_key(target: str, key: str | None) -> None:
    assert endpoint(f"{B}.cos.ap-beijing.myqcloud.com", target).key == key


@pytest.mark.parametrize(
    ("target", "kind", "bucket", "appid", "key"),
    [
        ("/", "service", None, None, None),
        (f"/{B}", "default", B, "1250000000", None),
        (f"/{B}/", "default", B, "1250000000", None),
        (f"/{B}/a/b%20c?x", "default", B, "1250000000", "a/b c"),
        ("/mybucket/a", "default", "mybucket", None, "a"),
    ],
)
def test_path_style(
    target: str, kind: str, bucket: str | None, appid: str | None, key: str | None
) -> None:
    found = endpoint("cos.ap-beijing.myqcloud.com", target)
    assert (found.kind, found.bucket, found.appid, found.key) == (kind, bucket, appid, key)
    assert found.path_style is (bucket is not None)


def test_json_api_has_bucket_and_appid_in_its_path() -> None:
    found = endpoint("sh.file.myqcloud.com", "/files/v2/10000202/buckettest/a/b%20c?op=stat")
    assert (found.bucket, found.appid, found.key) == ("buckettest", "10000202", "a/b c")


def test_fetch_has_its_bucket_in_the_path_and_no_key() -> None:
    found = endpoint("ap-beijing.migration.myqcloud.com", f"/{B}/task-1")
    assert (found.bucket, found.appid, found.key) == (B, "1250000000", None)


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/jobs", None),
        ("/jobs/j1", None),
        ("/image/auditing/x", None),
        ("/image/photo.jpg", "image/photo.jpg"),
        ("/a.mp4?ci-process=snapshot", "a.mp4"),
        ("/snapshot/a.mp4?ci-process=snapshot", "snapshot/a.mp4"),
    ],
)
def test_ci_hosts_have_paths_of_their_own(target: str, key: str | None) -> None:
    assert endpoint(f"{B}.ci.ap-beijing.myqcloud.com", target).key == key


def test_patterns_name_further_hosts() -> None:
    patterns = ["*.Example.com", "127.0.0.?"]
    for host in ("files.example.com", "127.0.0.1"):
        found = read_endpoint(host, "/a%20b", patterns)
        assert found == Endpoint("custom", None, None, None, "a b", False, "listed", "xml")
    assert read_endpoint("example.com.evil", "/", patterns) is None
    assert read_endpoint("files.example.com", "/") is None


def test_a_known_form_goes_before_patterns() -> None:
    found = read_endpoint(f"{B}.cos.ap-beijing.myqcloud.com", "/", ["*"])
    assert found is not None
    assert (found.kind, found.bucket) == ("default", B)


def test_custom_endpoint() -> None:
    assert custom_endpoint("cdn.example.com", "/k") == Endpoint(
        "custom", None, None, None, "k", False, "custom", "xml"
    )


@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("ap-guangzhou.cls.tencentcs.com", True),
        ("cls.tencentcs.com", True),
        ("sts.tencentcloudapi.com", True),
        ("sts.ap-guangzhou.tencentcloudapi.com", True),
        ("sts.api.qcloud.com", True),
        ("h.trace.eve.mdt.qq.com", True),
        ("123.cas.ap-guangzhou.myqcloud.com", True),
        ("evilcls.tencentcs.com", False),
        ("cls.tencentcs.com.example.com", False),
        ("files.example.com", False),
        (f"{B}.cos.ap-guangzhou.myqcloud.com", False),
        ("a" * 300, False),
        ("", False),
    ],
)
def test_hosts_of_others(host: str, other: bool) -> None:
    assert is_other_host(host) is other


@pytest.mark.parametrize(
    ("fields", "cos", "cdn"),
    [
        ([("Server", "tencent-cos")], True, False),
        ([("Server", "nginx"), ("Date", "x")], False, False),
        ([("X-Cos-Request-Id", "x")], True, False),
        ([("x-ci-code", "1")], True, False),
        ([("X-NWS-LOG-UUID", "1")], False, True),
        ([("EO-Cache-Status", "HIT"), ("server", "Tencent-COS")], True, True),
        ([("Age", "0")], False, True),
        ([], False, False),
    ],
)
def test_marks_of_an_answer(fields: list[tuple[str, str]], cos: bool, cdn: bool) -> None:
    headers = Headers(fields)
    assert (has_cos_marks(headers), is_cdn(headers)) == (cos, cdn)


@pytest.mark.parametrize(
    ("fields", "target", "looks"),
    [
        ([("Authorization", "q-sign-algorithm=sha1&q-ak=A")], "/", True),
        ([("Authorization", "AWS4-HMAC-SHA256 Credential=A")], "/", False),
        ([], "/k?q-sign-algorithm=sha1", True),
        ([], "/k?sign=q-sign-algorithm%3Dsha1", True),
        ([], "/q-sign-algorithm", False),
        ([("X-COS-ACL", "private")], "/", True),
        ([("x-amz-acl", "private")], "/", False),
    ],
)
def test_marks_of_a_request(fields: list[tuple[str, str]], target: str, looks: bool) -> None:
    assert request_looks_like_cos(Headers(fields), target) is looks


hosts = st.one_of(
    st.text(),
    st.builds(
        lambda label, rest: f"{label}.{rest}",
        st.text(string.ascii_lowercase + string.digits + "-.", max_size=70),
        st.sampled_from(["cos.ap-a.myqcloud.com", "ap-a.tencentcos.cn", "file.myqcloud.com"]),
    ),
)


@given(hosts, st.text(), st.lists(st.text(max_size=10), max_size=3))
def test_reads_anything(host: str, target: str, patterns: list[str]) -> None:
    found = read_endpoint(host, target, patterns)
    assert found is None or found.key != ""
