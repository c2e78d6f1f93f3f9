from cos_inspect.report.request_facts import facts_of
from tests.report.compared import AT, HOST, authorization, sent

URL = f"https://{HOST}/a.txt"


def test_a_signature_in_the_header() -> None:
    signing = facts_of(sent()).signing
    assert (signing.how, signing.secret_id) == ("COS signature in the header", "AKIDone")
    assert signing.headers == {"content-md5", "host", "x-cos-acl"}
    assert (signing.start, signing.end) == (AT - 1, AT + 899)


def test_a_signature_in_the_url_and_its_parameters_are_no_parameters() -> None:
    no_header = {"Authorization": ""}
    facts = facts_of(sent(url=f"{URL}?acl&{authorization(parameters='acl')}", headers=no_header))
    assert facts.signing.how == "COS signature in the URL"
    assert facts.signing.parameters == {"acl"}
    assert facts.query == [("acl", "")]
    once = authorization().replace("&", "%26").replace("=", "%3D").replace(";", "%3B")
    facts = facts_of(sent(url=f"{URL}?sign={once}", headers=no_header))
    assert (facts.signing.secret_id, facts.signing.start) == ("AKIDone", AT - 1)


def test_other_schemes() -> None:
    aws = "AWS4-HMAC-SHA256 Credential=AK/2026/r/s3/aws4_request, SignedHeaders=host;x, Signature=0"
    signing = facts_of(sent(signed=aws)).signing
    assert (signing.how, signing.secret_id) == ("AWS4 signature in the header", "AK")
    assert signing.headers == {"host", "x"}
    url = f"{URL}?X-Amz-Credential=AK%2F20261122%2Fr%2Fs3&X-Amz-SignedHeaders=host"
    signing = facts_of(sent(url=url, headers={"Authorization": ""})).signing
    assert (signing.how, signing.secret_id) == ("AWS4 signature in the URL", "AK")
    assert facts_of(sent(signed="Basic abc")).signing.how == "another scheme"
    assert facts_of(sent(headers={"Authorization": ""})).signing.how == "not signed"


def test_the_host_is_that_of_the_header_and_else_that_of_the_url() -> None:
    assert facts_of(sent(headers={"Host": "Other.example"})).host == "other.example"
    assert facts_of(sent(headers={"Host": ""})).host == HOST


def test_a_token_is_found_in_header_and_url() -> None:
    assert facts_of(sent(headers={"x-cos-security-token": "t"})).token == "t"
    assert facts_of(sent(url=f"{URL}?x-cos-security-token=t%2B")).token == "t+"
    assert facts_of(sent()).token == ""
