"""Where the inspector and the published samples differ, and why that is right.

A difference that does not stand here fails the test.
"""

from typing import Any

DISAGREEMENTS: dict[tuple[str, str], tuple[Any, str]] = {
    ("cap-011", "bucket"): ("bucket", "the path names it; the one who posted it had masked it"),
    ("cap-011", "appid"): ("11111", "the same"),
    ("cap-011", "operation"): ("Unknown", "nothing tells which call of the JSON API it was"),
    ("docs-ci-003", "operation"): ("CI:CreateImageAuditing", "titles of pages are not reproduced"),
    ("docs-ci-034", "operation"): ("PutBucketStyle", "settings of a bucket have no prefix"),
    ("docs-ci-041", "operation"): ("CI:ListJobs", "titles of pages are not reproduced"),
    ("docs-ci-056", "operation"): ("CI:DeleteTemplate", "titles of pages are not reproduced"),
    ("docs-ci-056", "request_id_where"): (
        ["header"],
        "bodies are read for ids when they are errors",
    ),
    ("docs-ci-061", "operation"): ("CI:ListDocQueue", "titles of pages are not reproduced"),
    ("docs-ci-061", "request_id_where"): (
        ["header"],
        "bodies are read for ids when they are errors",
    ),
    ("docs-ci-065", "operation"): ("CI:ListMediaBucket", "titles of pages are not reproduced"),
    ("docs-ci-065", "request_id_where"): (
        ["header"],
        "bodies are read for ids when they are errors",
    ),
    ("docs-json-api-006", "bucket"): (
        None,
        "the page leaves the host out, which would tell that the path is of the JSON API",
    ),
    ("docs-json-api-006", "appid"): (None, "the same"),
    ("docs-json-api-006", "key"): ("files/v2/1252448703/test02/sample_file.txt", "the same"),
    ("docs-json-api-006", "operation"): ("Unknown", "the same"),
    ("docs-json-api-019", "bucket"): (
        None,
        "the page leaves the host out, which would tell that the path is of the JSON API",
    ),
    ("docs-json-api-019", "appid"): (None, "the same"),
    ("docs-json-api-019", "key"): ("files/v2/1252448703/test02/sample_file.txt", "the same"),
    ("docs-json-api-019", "operation"): ("Unknown", "the same"),
    ("docs-json-api-008", "operation"): (
        "JSON-API:ListFolder",
        "op=list of a folder lists it; the page has it under another title",
    ),
    ("docs-json-api-014", "operation"): (
        "Unknown",
        "the call is named in the body only, which is not read",
    ),
    ("docs-json-api-037", "operation"): (
        "Unknown",
        "the call is named in the body only, which is not read",
    ),
    ("docs-xml-api-072", "operation"): ("ListBucketInventory", "named as Tencent names the action"),
    ("gofix-001", "key"): (
        "jobs",
        "the test leaves the host out, which would tell that it is a batch call",
    ),
    ("gofix-001", "operation"): ("CI:CreateJobs", "the same"),
}
"""Sample and field to what the inspector says, and the reason."""

FINDINGS: dict[str, dict[str, str]] = {
    "cap-001": {
        "error-response": "it is one",
        "request-id-missing": "only the body was published",
        "trace-id-missing": "only the body was published",
    },
    "cap-004": {
        "error-response": "it is one",
        "request-id-missing": "only the body was published",
        "trace-id-missing": "only the body was published",
    },
    "cap-050": {
        "error-response": "it is one",
        "request-id-missing": "only the body was published",
        "trace-id-missing": "only the body was published",
    },
    "cap-011": {"error-response": "it is one"},
    "cap-015": {"not-from-cos": "neither headers nor ids were published"},
    "cap-028": {"crc64-missing": "older than the CRC-64 of COS in that region"},
    "docs-xml-api-285": {"crc64-missing": "older than the CRC-64 of COS in that region"},
    "docs-xml-api-289": {"crc64-missing": "older than the CRC-64 of COS in that region"},
    "docs-ci-015": {"body-truncated": "the page shows less than was sent, or laid it out anew"},
    "docs-json-api-031": {
        "body-truncated": "the page shows less than was sent, or laid it out anew"
    },
    "docs-xml-api-034": {
        "body-truncated": "the page shows less than was sent, or laid it out anew"
    },
    "docs-xml-api-113": {
        "body-truncated": "the page shows less than was sent, or laid it out anew"
    },
    "docs-xml-api-182": {
        "body-truncated": "the page shows less than was sent, or laid it out anew"
    },
    "docs-xml-api-253": {
        "body-truncated": "the page shows less than was sent, or laid it out anew"
    },
    "docs-ci-047": {
        "body-truncated": "the page shows less than was sent, or laid it out anew",
        "clock-skew": "the page's Date was edited: the request id says another day",
    },
    "docs-json-api-008": {
        "clock-skew": "the request's Date is of the day before",
        "header-malformed(Content-Length)": "a comma stands behind it",
    },
    "docs-json-api-037": {"header-malformed(Date)": "Date in the form of asctime"},
    "docs-xml-api-001": {
        "body-truncated": "the page shows less than was sent, or laid it out anew",
        "header-malformed(ETag)": "without quotes",
        "request-id-missing": "none was published",
    },
    "docs-xml-api-024": {"trace-id-on-success": "it is there"},
    "docs-xml-api-016": {
        "clock-skew": "the page's Date was edited: the request id says another day",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-054": {
        "clock-skew": "the page's Date was edited: the request id says another day"
    },
    "docs-xml-api-071": {
        "clock-skew": "the page's Date was edited: the request id says another day",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-072": {
        "clock-skew": "the page's Date was edited: the request id says another day"
    },
    "docs-xml-api-076": {
        "clock-skew": "the page's Date was edited: the request id says another day"
    },
    "docs-xml-api-179": {
        "clock-skew": "the page's Date was edited: the request id says another day",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-193": {
        "clock-skew": "the page's Date was edited: the request id says another day",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-226": {
        "clock-skew": "the page's Date was edited: the request id says another day"
    },
    "docs-xml-api-228": {
        "clock-skew": "the page's Date was edited: the request id says another day"
    },
    "docs-xml-api-060": {
        "body-truncated": "the page shows less than was sent, or laid it out anew",
        "clock-skew": "the page's Date was edited: the request id says another day",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-062": {
        "header-malformed(Date)": "Date in the form of asctime",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-081": {
        "content-md5-mismatch": "the page laid the body out anew",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-168": {
        "body-truncated": "the page shows less than was sent, or laid it out anew",
        "clock-skew": "the page edited the request's Date",
        "header-malformed(Date)": "Date in the form of asctime",
    },
    "docs-xml-api-223": {"clock-skew": "the signature begins after the request id"},
    "docs-xml-api-241": {"header-malformed(Content-Length)": "the page says xxxx"},
    "docs-xml-api-258": {
        "clock-skew": "Date is local time, and the signature is of another day",
        "header-malformed(ETag)": "backslashes stand before its quotes",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-302": {
        "header-malformed(Date)": "a fullwidth comma",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-317": {
        "header-malformed(Date)": "Date in the form of asctime",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-319": {
        "header-malformed(Date)": "Date in the form of asctime",
        "signature-long-lived": "for years, or for days",
    },
    "docs-xml-api-347": {
        "header-malformed(Connection)": "the page ran three headers together",
        "signature-long-lived": "for years, or for days",
    },
}
"""Sample to its findings and to what in the sample provokes each."""

for _sample in (
    "docs-ci-034",
    "docs-ci-047",
    "docs-xml-api-016",
    "docs-xml-api-054",
    "docs-xml-api-060",
    "docs-xml-api-071",
    "docs-xml-api-072",
    "docs-xml-api-076",
    "docs-xml-api-179",
    "docs-xml-api-226",
    "docs-xml-api-228",
):
    FINDINGS.setdefault(_sample, {})["header-malformed(Date)"] = (
        "the page edited the day and left the weekday as it was"
    )
FINDINGS.setdefault("docs-json-api-008", {})["header-malformed(Connection)"] = (
    "the page has half a pair of quotes there"
)
