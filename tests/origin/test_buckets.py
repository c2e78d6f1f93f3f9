"""Lists, settings of buckets and objects, host names, websites."""

import base64
import hashlib

from tests.origin.client import BUCKET, Client


def test_delete_multiple_wants_md5(client: Client) -> None:
    client.put("/a", b"x")
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    assert client.post("/?delete", body).code == "InvalidRequest"
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    done = client.post("/?delete", body, {"Content-MD5": digest})
    assert done.xml().findtext("Deleted/Key") == "a"
    assert client.get("/a").status == 404


def test_list_pages(client: Client) -> None:
    for name in ("a", "b/1", "b/2", "c d"):
        client.origin.put_object(BUCKET, name, b"x")
    first = client.get("/?delimiter=/&max-keys=2&encoding-type=url").xml()
    assert [item.findtext("Key") for item in first.findall("Contents")] == ["a"]
    assert first.findtext("CommonPrefixes/Prefix") == "b/"
    rest = client.get(f"/?delimiter=/&marker={first.findtext('NextMarker')}&encoding-type=url")
    assert [item.findtext("Key") for item in rest.xml().findall("Contents")] == ["c%20d"]
    second = client.get("/?list-type=2&prefix=b/").xml()
    assert second.findtext("KeyCount") == "2"


def test_bucket_life(client: Client) -> None:
    client.origin.service.store.auto_buckets = False
    assert client.get("/").code == "NoSuchBucket"
    assert client.put("/").status == 200
    assert client.put("/").code == "BucketAlreadyOwnedByYou"
    assert client.send("HEAD", "/").get("x-cos-bucket-region") == "ap-guangzhou"
    client.put("/a", b"x")
    assert client.send("DELETE", "/").code == "BucketNotEmpty"
    client.send("DELETE", "/a")
    assert client.send("DELETE", "/").status == 204
    listed = client.send("GET", "/", host="service.cos.myqcloud.com")
    assert listed.xml().find("Buckets/Bucket") is None


def test_bucket_settings(client: Client) -> None:
    assert client.get("/?cors").code == "NoSuchCORSConfiguration"
    rule = (
        b"<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example.com</AllowedOrigin>"
        b"<AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-cos-*</AllowedHeader>"
        b"<ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>"
    )
    assert client.put("/?cors", rule).status == 200
    assert client.get("/?cors").body == rule
    asked = {
        "Origin": "https://www.example.com",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "x-cos-acl",
    }
    good = client.send("OPTIONS", "/a", headers=asked)
    assert good.get("Access-Control-Allow-Origin") == "https://www.example.com"
    bad = client.send("OPTIONS", "/a", headers={**asked, "Access-Control-Request-Method": "GET"})
    assert bad.code == "AccessForbidden"
    put = client.put("/a", b"x", {"Origin": "https://www.example.com"})
    assert put.get("Access-Control-Expose-Headers") == "ETag"
    assert client.send("DELETE", "/?cors").status == 204
    assert client.get("/?acl").xml().findtext(".//Permission") == "FULL_CONTROL"
    assert client.get("/?location").xml().findtext("Location") == "ap-guangzhou"
    assert client.put("/?lifecycle", b"<Life").code == "MalformedXML"


def test_default_encryption_of_a_bucket(client: Client) -> None:
    client.put("/?encryption", b"<Rule><SSEAlgorithm>AES256</SSEAlgorithm></Rule>")
    assert client.put("/a", b"x").get("x-cos-server-side-encryption") == "AES256"


def test_object_settings(client: Client) -> None:
    client.put("/a", b"x", {"x-cos-tagging": "k=v&l=w"})
    assert client.get("/a").get("x-cos-tagging-count") == "2"
    assert [tag.text for tag in client.get("/a?tagging").xml().iter("Value")] == ["v", "w"]
    assert client.send("DELETE", "/a?tagging").status == 204
    assert client.get("/a?acl").status == 200


def test_hosts(client: Client) -> None:
    client.put("/a", b"x")
    client.origin.custom_domains["files.example.com"] = BUCKET
    for host in (
        f"{BUCKET}.cos.accelerate.myqcloud.com",
        f"{BUCKET}.cos-internal.ap-guangzhou.tencentcos.cn",
        f"{BUCKET}.file.myqcloud.com",
        "files.example.com",
    ):
        assert client.send("GET", "/a", host=host).body == b"x", host
    path = client.send("GET", f"/{BUCKET}/a", host="cos.ap-guangzhou.myqcloud.com:80")
    assert path.body == b"x"
    assert client.send("GET", "/a", host="unknown.example").code == "InvalidURI"


def test_website(client: Client) -> None:
    host = f"{BUCKET}.cos-website.ap-guangzhou.myqcloud.com"
    client.origin.put_object(BUCKET, "docs/index.html", b"<p>hi</p>")
    assert client.send("GET", "/docs/", host=host).body == b"<p>hi</p>"
    assert client.send("GET", "/docs", host=host).status == 302
    missing = client.send("GET", "/nope", host=host)
    assert (missing.status, missing.get("Content-Type")) == (404, "text/html")
    assert client.send("PUT", "/a", b"x", host=host).status == 405
