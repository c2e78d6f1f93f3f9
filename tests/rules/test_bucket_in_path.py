from cos_inspect.cos.cos_exchange import read_exchange
from cos_inspect.rules.bucket_in_path import BucketTwice, bucket_in_path
from tests.rules.exchanges import CONTENT, HOST, Fields, error_xml, exchange

BUCKET = "examplebucket-1250000000"
DOMAIN = "files.example.com"


def found(
    target: str, host: str = HOST, code: str = "NoSuchKey", **how: object
) -> BucketTwice | None:
    how.setdefault("status", 404)
    answer = error_xml(code).replace(f"{HOST}/exampleobject".encode(), target.encode())
    one = exchange(host=host, target=target, answer=answer, **how)  # type: ignore[arg-type]
    cos = read_exchange(one, [DOMAIN])
    assert cos is not None
    return bucket_in_path(cos)


def test_under_the_bucket_s_own_host() -> None:
    for host in (HOST, HOST.replace(".cos.", ".cos-website."), f"{BUCKET}.file.myqcloud.com"):
        twice = found(f"/{BUCKET}/a.txt", host)
        assert twice is not None
        assert (twice.bucket, twice.key, twice.stored) == (BUCKET, f"{BUCKET}/a.txt", False)
    assert found("/otherbucket-1250000000/a.txt") is None
    assert found(f"/{BUCKET}-copy/a.txt") is None
    assert found(f"/a/{BUCKET}/a.txt") is None


def test_in_path_style() -> None:
    host = "cos.ap-beijing.myqcloud.com"
    assert found(f"/{BUCKET}/a.txt", host) is None
    assert found(f"/{BUCKET}/{BUCKET}/a.txt", host) is not None


def test_under_a_domain() -> None:
    for target in (f"/{BUCKET}/", f"/{BUCKET}/?list-type=2", f"/{BUCKET}/%E7%85%A7.png"):
        assert found(target, DOMAIN) is not None
    # A day, and seconds since 1970.
    for target in ("/photos-20231114/a.png", "/log-1700000000/a.txt", "/a-125/b", "/a.txt"):
        assert found(target, DOMAIN) is None
    assert found(f"/{BUCKET}/a.txt", DOMAIN, status=403, code="AccessDenied") is None
    assert found(f"/{BUCKET}/a.txt", DOMAIN, status=503, code="SlowDown") is None


def test_behind_a_gateway_the_path_may_name_the_bucket() -> None:
    """What the answer names as the resource has no such folder."""
    one = exchange(
        host=DOMAIN, target=f"/{BUCKET}/a.txt", status=404, answer=error_xml("NoSuchKey")
    )
    cos = read_exchange(one, [DOMAIN])
    assert cos is not None
    assert bucket_in_path(cos) is None


def test_what_worked() -> None:
    done: Fields = (("ETag", '"ee8de918d05640145b18f70f4c3aa602"'),)
    target = f"/{BUCKET}/a.txt"
    stored = read_exchange(exchange("PUT", target, body=CONTENT, answer_headers=done))
    assert stored is not None
    twice = bucket_in_path(stored)
    assert twice is not None
    assert twice.stored
    read = read_exchange(exchange(target=target, answer=CONTENT, answer_headers=done))
    assert read is not None
    assert bucket_in_path(read) is None, "somebody has such a folder"
    signed: Fields = (("Authorization", f"AWS4-HMAC-SHA256 Credential={'A' * 20}/20200102/x/s3/y"),)
    reached = read_exchange(
        exchange("PUT", target, host=DOMAIN, headers=signed, body=CONTENT, answer_headers=done),
        [DOMAIN],
    )
    assert reached is not None
    assert bucket_in_path(reached) is not None, "the path is signed, so nobody changed it"
    under_domain = read_exchange(
        exchange("PUT", target, host=DOMAIN, body=CONTENT, answer_headers=done), [DOMAIN]
    )
    assert under_domain is not None
    assert bucket_in_path(under_domain) is None
