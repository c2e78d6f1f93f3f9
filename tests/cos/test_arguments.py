import pytest

from cos_inspect.cos.arguments import bad_arguments
from cos_inspect.cos.headers import annotate
from cos_inspect.cos.target import read_query
from cos_inspect.model.headers import Headers


def named(operation: str, target: str, *fields: tuple[str, str]) -> list[str]:
    headers = annotate(Headers(fields), "request")
    return [bad.name for bad in bad_arguments(operation, read_query(target), headers)]


@pytest.mark.parametrize("position", ["-1", "", "abc", "1.5", "0x10", "１", "undefined", "null"])
def test_position_of_an_append(position: str) -> None:
    assert named("AppendObject", f"/a?append&position={position}") == ["position"]


@pytest.mark.parametrize(
    ("operation", "target", "names"),
    [
        ("AppendObject", "/a?append", ["position"]),
        ("AppendObject", "/a?append&position=0", []),
        ("AppendObject", "/a?append&position=5368709120", []),
        ("UploadPart", "/a?partNumber=0&uploadId=u", ["partNumber"]),
        ("UploadPart", "/a?partNumber=10001&uploadId=u", ["partNumber"]),
        ("UploadPart", "/a?partNumber=10000&uploadId=u", []),
        ("UploadPart", "/a?partNumber=1&uploadId=undefined", ["uploadId"]),
        ("CompleteMultipartUpload", "/a?uploadId=", ["uploadId"]),
        ("GetBucket", "/?max-keys=-1", ["max-keys"]),
        ("GetBucket", "/?max-keys=1000&encoding-type=url", []),
        ("GetBucket", "/?encoding-type=utf-8&max-keys=1e3", ["max-keys", "encoding-type"]),
        ("GetObject", "/a?x-cos-traffic-limit=100", ["x-cos-traffic-limit"]),
        ("GetObject", "/a?versionId=null", []),
        ("GetObject", "/a?versionId=undefined", ["versionId"]),
        ("GetBucket", "/?prefix=undefined", ["prefix"]),
        ("GetBucket", "/?prefix=undefined/a", []),
        ("GetBucket", "/?marker=null", []),
    ],
)
def test_parameters(operation: str, target: str, names: list[str]) -> None:
    assert named(operation, target) == names


def test_headers() -> None:
    assert named("PutObject", "/a", ("x-cos-acl", "everybody")) == ["x-cos-acl"]
    assert named("PutObject", "/a", ("x-cos-storage-class", "Cheap")) == ["x-cos-storage-class"]
    assert named("PutObject", "/a", ("X-COS-Storage-Class", "MAZ_STANDARD")) == []
    assert named("PutObject", "/a", ("x-cos-meta-name", "undefined")) == ["x-cos-meta-name"]
    assert named("PutObject", "/a", ("User-Agent", "undefined")) == []


def test_no_secret_is_shown() -> None:
    key = ("x-cos-server-side-encryption-customer-key", "c2VjcmV0")
    found = bad_arguments("PutObject", read_query("/a"), annotate(Headers((key,)), "request"))
    assert "c2VjcmV0" not in repr(found)


def test_words() -> None:
    (bad,) = bad_arguments("AppendObject", read_query("/a?append&position=-1"), ())
    assert bad.words.startswith("position is -1 and must be a whole number")
    (bad,) = bad_arguments("AppendObject", read_query("/a?append"), ())
    assert bad.words.startswith("position is missing and must be")
    (bad,) = bad_arguments("AppendObject", read_query(f"/a?append&position={'9' * 500}"), ())
    assert len(bad.words) < 250
