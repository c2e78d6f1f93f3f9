import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.endpoint import custom_endpoint, read_endpoint
from cos_inspect.cos.operation import Operation, read_operation
from cos_inspect.model.headers import Headers

BUCKET = "b-1250000000.cos.ap-beijing.myqcloud.com"
CI = "b-1250000000.ci.ap-beijing.myqcloud.com"
PIC = "b-1250000000.pic.ap-beijing.myqcloud.com"
WEBSITE = "b-1250000000.cos-website.ap-beijing.myqcloud.com"
BATCH = "100000000001.cos-control.ap-beijing.myqcloud.com"
JSON_API = "gz.file.myqcloud.com"
COPY = "x-cos-copy-source"
FORM = ("content-type", "multipart/form-data; boundary=x")


def operation(host: str, method: str, target: str, *fields: tuple[str, str]) -> Operation:
    endpoint = read_endpoint(host, target)
    assert endpoint is not None
    return read_operation(endpoint, method, target, Headers(fields))


BUCKET_SETTINGS = {
    "acl": ("PUT PutBucketACL", "GET GetBucketACL"),
    "cors": ("PUT PutBucketCORS", "GET GetBucketCORS", "DELETE DeleteBucketCORS"),
    "lifecycle": (
        "PUT PutBucketLifecycle",
        "GET GetBucketLifecycle",
        "DELETE DeleteBucketLifecycle",
    ),
    "policy": ("PUT PutBucketPolicy", "GET GetBucketPolicy", "DELETE DeleteBucketPolicy"),
    "referer": ("PUT PutBucketReferer", "GET GetBucketReferer"),
    "tagging": ("PUT PutBucketTagging", "GET GetBucketTagging", "DELETE DeleteBucketTagging"),
    "website": ("PUT PutBucketWebsite", "GET GetBucketWebsite", "DELETE DeleteBucketWebsite"),
    "versioning": ("PUT PutBucketVersioning", "GET GetBucketVersioning"),
    "versions": ("GET GetBucketObjectVersions",),
    "versions&key-marker=a&prefix=": ("GET GetBucketObjectVersions",),
    "replication": (
        "PUT PutBucketReplication",
        "GET GetBucketReplication",
        "DELETE DeleteBucketReplication",
    ),
    "logging": ("PUT PutBucketLogging", "GET GetBucketLogging"),
    "location": ("GET GetBucketLocation",),
    "encryption": (
        "PUT PutBucketEncryption",
        "GET GetBucketEncryption",
        "DELETE DeleteBucketEncryption",
    ),
    "domain": ("PUT PutBucketDomain", "GET GetBucketDomain", "DELETE DeleteBucketDomain"),
    "domaincertificate&domainname=a.example": (
        "PUT PutBucketDomainCertificate",
        "GET GetBucketDomainCertificate",
        "DELETE DeleteBucketDomainCertificate",
    ),
    "origin": ("PUT PutBucketOrigin", "GET GetBucketOrigin", "DELETE DeleteBucketOrigin"),
    "accelerate": ("PUT PutBucketAccelerate", "GET GetBucketAccelerate"),
    "intelligenttiering": ("PUT PutBucketIntelligentTiering", "GET GetBucketIntelligentTiering"),
    "intelligent-tiering&id=1": (
        "PUT PutBucketIntelligentTieringV2",
        "GET GetBucketIntelligentTieringV2",
        "DELETE DeleteBucketIntelligentTieringV2",
    ),
    "intelligent-tiering": ("GET ListBucketIntelligentTiering",),
    "inventory&id=1": (
        "PUT PutBucketInventory",
        "GET GetBucketInventory",
        "DELETE DeleteBucketInventory",
        "POST PostBucketInventory",
    ),
    "inventory&continuation-token=x": ("GET ListBucketInventory",),
    "object-lock": ("PUT PutBucketObjectLockConfiguration", "GET GetBucketObjectLockConfiguration"),
    "notification": ("PUT PutBucketNotification", "GET GetBucketNotification"),
    "strict-signature": (
        "PUT PutBucketStrictSignature",
        "GET GetBucketStrictSignature",
        "DELETE DeleteBucketStrictSignature",
    ),
    "uploads": ("GET ListMultipartUploads",),
    "delete": ("POST DeleteMultipleObjects",),
    "live": ("GET ListLiveChannels",),
    "ci-process=qrcode-generate": ("GET CI:qrcode-generate",),
    "": (
        "PUT PutBucket",
        "GET GetBucket",
        "DELETE DeleteBucket",
        "HEAD HeadBucket",
        "OPTIONS OptionsObject",
        "POST Unknown",
    ),
    "list-type=2&prefix=": ("GET GetBucket",),
    "x-id=ListObjectsV2&t=1": ("GET GetBucket",),
    "q-sign-algorithm=sha1&sign=&x-cos-security-token=": ("PUT PutBucket", "HEAD HeadBucket"),
    "never-heard-of": ("PUT Unknown", "GET Unknown", "DELETE Unknown", "HEAD Unknown"),
    "style": ("PUT Unknown",),
    "response-control": (
        "PUT PutBucketResponseControl",
        "GET GetBucketResponseControl",
        "DELETE DeleteBucketResponseControl",
        "HEAD Unknown",
    ),
    "response-control=": ("DELETE DeleteBucketResponseControl",),
    "accessmonitor": ("PUT PutBucketAccessMonitor", "GET GetBucketAccessMonitor", "DELETE Unknown"),
    "response-content-type=": ("GET GetBucket", "PUT Unknown", "DELETE Unknown"),
    "response-content-type=text%2Fxml": ("GET GetBucket", "DELETE Unknown"),
    "response-something": ("GET Unknown", "PUT Unknown", "DELETE Unknown"),
    "callback": ("GET Unknown", "PUT Unknown", "DELETE Unknown"),
    "callback-config": ("GET Unknown", "PUT Unknown", "DELETE Unknown"),
    "callback=f": ("GET GetBucket", "DELETE Unknown"),
    "x-cos-foo": ("GET Unknown", "PUT Unknown", "DELETE Unknown"),
    "x-cos-foo=1": ("GET GetBucket", "PUT Unknown", "DELETE Unknown"),
    "x-ci-foo": ("GET Unknown", "PUT Unknown", "DELETE Unknown"),
    "x-amz-foo": ("GET Unknown", "PUT Unknown", "DELETE Unknown"),
    "token": ("GET Unknown", "PUT Unknown", "DELETE Unknown", "HEAD Unknown"),
    "token=t": ("GET GetBucket", "PUT PutBucket", "DELETE DeleteBucket", "HEAD HeadBucket"),
    "never-heard-of=1": ("PUT Unknown", "DELETE Unknown"),
    "prefix=a": ("DELETE Unknown",),
    "X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&X-Amz-SignedHeaders=h"
    "&X-Amz-Signature=s": ("PUT PutBucket", "DELETE DeleteBucket", "GET GetBucket"),
}


@pytest.mark.parametrize(
    ("query", "method", "name"),
    [(query, *row.split(" ")) for query, found in BUCKET_SETTINGS.items() for row in found],
)
def test_bucket_operations(query: str, method: str, name: str) -> None:
    found = operation(BUCKET, method, f"/?{query}" if query else "/")
    assert (found.name, found.level) == (name, "bucket")


OBJECT_CALLS: list[tuple[str, str, tuple[tuple[str, str], ...], str]] = [
    ("PUT", "partNumber=1&uploadId=x", ((COPY, "s"),), "UploadPartCopy"),
    ("PUT", "partNumber=1&uploadId=x", (("x-amz-copy-source", "s"),), "UploadPartCopy"),
    ("PUT", "partNumber=1&uploadId=x", (), "UploadPart"),
    ("PUT", "uploadId=x&x-id=UploadPart&partNumber=1", (), "UploadPart"),
    ("PUT", "partnumber=1&uploadid=x", (), "PutObject"),
    ("PUT", "acl", (), "PutObjectACL"),
    ("PUT", "acl=", (), "PutObjectACL"),
    ("PUT", "tagging&versionId=v", (), "PutObjectTagging"),
    ("PUT", "symlink", (("x-cos-symlink-target", "k"),), "PutSymlink"),
    ("PUT", "rename", (("x-cos-rename-source", "k"),), "RenameObject"),
    ("PUT", "retention", (), "PutObjectRetention"),
    ("PUT", "live", (), "PutLiveChannel"),
    ("PUT", "live&switch=enabled", (), "PutLiveChannelSwitch"),
    ("PUT", "", ((COPY, "s"),), "PutObjectCopy"),
    ("PUT", "", (("Pic-Operations", "{}"),), "PutObject"),
    ("PUT", "", (), "PutObject"),
    ("PUT", "x-id=PutObject", (), "PutObject"),
    ("PUT", "q-sign-algorithm=sha1&q-signature=a", (), "PutObject"),
    ("POST", "uploads", (), "InitiateMultipartUpload"),
    ("POST", "uploads=", (), "InitiateMultipartUpload"),
    ("POST", "uploadId=x", (), "CompleteMultipartUpload"),
    ("POST", "append&position=0", (), "AppendObject"),
    ("POST", "append", (), "AppendObject"),
    ("POST", "restore&versionId=v", (), "PostObjectRestore"),
    ("POST", "select&select-type=2", (), "SelectObjectContent"),
    ("POST", "image_process", (), "CI image processing"),
    ("POST", "vod&starttime=1&endtime=2", (), "PostVodPlaylist"),
    ("POST", "ci-process=detect-label", (), "CI:detect-label"),
    ("POST", "", (), "Unknown"),
    ("GET", "uploadId=x&max-parts=1", (), "ListParts"),
    ("GET", "acl", (), "GetObjectACL"),
    ("GET", "tagging", (), "GetObjectTagging"),
    ("GET", "retention", (), "GetObjectRetention"),
    ("GET", "symlink", (), "GetSymlink"),
    ("GET", "live", (), "GetLiveChannel"),
    ("GET", "live&comp=status", (), "GetLiveChannelStatus"),
    ("GET", "comp=history&live", (), "GetLiveChannelHistory"),
    ("GET", "vod&starttime=1", (), "GetVodPlaylist"),
    ("GET", "ci-process=snapshot&time=1.5", (), "CI:snapshot"),
    ("GET", "ci-process=IDCardOCR&CardSide=FRONT", (), "CI:IDCardOCR"),
    ("GET", "ci-process=%2F..%0A", (), "Unknown"),
    ("GET", "imageMogr2/thumbnail/50x", (), "CI image GET"),
    ("GET", "q-ak=a&imageView2/1/w/50", (), "CI image GET"),
    ("GET", "imageInfo", (), "CI image GET"),
    ("GET", "imageAve", (), "CI image GET"),
    ("GET", "exif", (), "CI image GET"),
    ("GET", "imageInspect", (), "CI image GET"),
    ("GET", "watermark/1/image/aHR0", (), "CI image GET"),
    ("GET", "style/thumb", (), "CI image GET"),
    ("GET", "TDCRefresh", (), "CI image GET"),
    ("GET", "watermark", (), "GetObject"),
    ("GET", "exifoliate", (), "GetObject"),
    ("GET", "", (("Range", "bytes=0-1"),), "GetObject"),
    ("GET", "versionId=v&response-content-type=a", (), "GetObject"),
    ("GET", "v3", (), "GetObject"),
    ("HEAD", "preflight", (), "PreflightObject"),
    ("HEAD", "versionId=v", (), "HeadObject"),
    ("DELETE", "uploadId=x", (), "AbortMultipartUpload"),
    ("DELETE", "tagging", (), "DeleteObjectTagging"),
    ("DELETE", "live", (), "DeleteLiveChannel"),
    ("DELETE", "versionId=v", (), "DeleteObject"),
    ("OPTIONS", "lifecycle", (), "OptionsObject"),
    ("PROPFIND", "", (), "Unknown"),
    ("get", "", (), "Unknown"),
]


@pytest.mark.parametrize(("method", "query", "fields", "name"), OBJECT_CALLS)
@pytest.mark.parametrize("host", [BUCKET, PIC])
def test_object_operations(
    host: str, method: str, query: str, fields: tuple[tuple[str, str], ...], name: str
) -> None:
    found = operation(host, method, f"/k?{query}" if query else "/k", *fields)
    assert (found.name, found.level) == (name, "object")


@pytest.mark.parametrize(
    ("host", "method", "target", "name", "level"),
    [
        ("service.cos.myqcloud.com", "GET", "/", "GetService", "service"),
        ("cos.ap-beijing.myqcloud.com", "GET", "/?max-keys=2&marker=a", "GetService", "service"),
        ("cos.ap-beijing.myqcloud.com", "PUT", "/", "Unknown", "service"),
        ("cos.ap-beijing.myqcloud.com", "GET", "/b-1250000000", "GetBucket", "bucket"),
        ("cos.ap-beijing.myqcloud.com", "PUT", "/b-1250000000/k", "PutObject", "object"),
        (WEBSITE, "GET", "/", "GetObject", "bucket"),
        (WEBSITE, "GET", "/a/", "GetObject", "object"),
        (WEBSITE, "PUT", "/a", "Unknown", "object"),
        (PIC, "PUT", "/?style", "PutBucketStyle", "bucket"),
        (PIC, "GET", "/?guetzli", "GetBucketGuetzli", "bucket"),
        (CI, "DELETE", "/?origin-protect", "DeleteBucketOriginProtect", "bucket"),
        (CI, "PUT", "/?hdr-image-processing", "PutBucketHdrImageProcessing", "bucket"),
        (CI, "GET", "/", "GetCIService", "bucket"),
        (CI, "PUT", "/", "OpenCIService", "bucket"),
        (CI, "PUT", "/?unbind", "PutBucketUnbind", "bucket"),
        (CI, "PUT", "/?never-heard-of", "Unknown", "bucket"),
        (CI, "GET", "/?q-ak=a&sign=s", "GetCIService", "bucket"),
        (CI, "POST", "/audit/strategy", "CI:AuditStrategy", "bucket"),
        (CI, "PUT", "/audit/strategy/biz1", "CI:AuditStrategy", "bucket"),
        (CI, "DELETE", "/audit/strategy/biz1", "Unknown", "bucket"),
        (CI, "DELETE", "/audit/textlib/1", "CI:AuditTextLib", "bucket"),
        (CI, "POST", "/audit/textlib/1/keyword", "CI:AuditKeyword", "bucket"),
        (CI, "POST", "/audit/textlib/1/deletekeyword", "CI:DeleteAuditKeyword", "bucket"),
        (CI, "POST", "/audit/textlib/1/never-heard-of", "Unknown", "bucket"),
        (CI, "POST", "/FaceSearchBucket", "CI:CreateFaceSearchBucket", "bucket"),
        (CI, "GET", "/getplaylist?bucketName=b", "CI:GetPlayList", "bucket"),
        (CI, "PUT", "/inventorytriggerjob/j1", "CI:CancelInventoryTriggerJob", "bucket"),
        (CI, "GET", "/inventorytriggerjob/j1", "CI:GetInventoryTriggerJob", "bucket"),
        (CI, "GET", "/never/heard/of", "Unknown", "bucket"),
        (CI, "PUT", "/never-heard-of", "Unknown", "bucket"),
        (CI, "HEAD", "/never-heard-of", "Unknown", "bucket"),
        (CI, "DELETE", "/never-heard-of/1", "Unknown", "bucket"),
        (CI, "GET", "/a.mp4?ci-process=snapshot", "CI:snapshot", "object"),
        (CI, "GET", "/audit/strategy?ci-process=snapshot", "CI:snapshot", "object"),
        (CI, "GET", "/a.png?imageMogr2/thumbnail/50x", "CI image GET", "object"),
        (CI, "POST", "/a.png?image_process", "CI image processing", "object"),
        (CI, "POST", "/a.png?TDCRefresh", "CI:TDCRefresh", "object"),
        (PIC, "GET", "/never-heard-of", "GetObject", "object"),
        (PIC, "PUT", "/never-heard-of", "PutObject", "object"),
        (PIC, "POST", "/jobs", "CI:CreateJobs", "bucket"),
        (CI, "POST", "/jobs", "CI:CreateJobs", "bucket"),
        (CI, "GET", "/jobs?queueId=a", "CI:ListJobs", "bucket"),
        (CI, "GET", "/jobs/j1", "CI:GetJobs", "bucket"),
        (CI, "PUT", "/jobs/j1?cancel", "CI:CancelJobs", "bucket"),
        (CI, "PUT", "/workflow/w1?active", "CI:ActivateWorkflow", "bucket"),
        (CI, "PUT", "/workflow/w1?paused", "CI:PauseWorkflow", "bucket"),
        (CI, "PUT", "/queue/q1", "CI:UpdateQueue", "bucket"),
        (CI, "DELETE", "/template/A", "CI:DeleteTemplate", "bucket"),
        (CI, "POST", "/image/auditing", "CI:CreateImageAuditing", "bucket"),
        (CI, "GET", "/virus/detect/j1", "CI:GetVirusDetect", "bucket"),
        (CI, "OPTIONS", "/jobs", "OptionsObject", "bucket"),
        (CI, "PATCH", "/jobs", "Unknown", "bucket"),
        ("ci.ap-beijing.myqcloud.com", "GET", "/mediabucket", "CI:ListMediaBucket", "service"),
        (
            "1250000000.ci.ap-beijing.myqcloud.com",
            "POST",
            "/datasetquery/simple",
            "CI:DatasetSimpleQuery",
            "service",
        ),
        (
            "1250000000.ci.ap-beijing.myqcloud.com",
            "GET",
            "/dataset",
            "CI:DescribeDataset",
            "service",
        ),
        ("1250000000.ci.ap-beijing.myqcloud.com", "GET", "/never", "Unknown", "service"),
        (BUCKET, "POST", "/audit/strategy", "Unknown", "object"),
        (BUCKET, "PUT", "/audit/strategy", "PutObject", "object"),
        (BUCKET, "POST", "/image/auditing", "CI:CreateImageAuditing", "bucket"),
        (BATCH, "POST", "/jobs", "CreateJob", "none"),
        (BATCH, "GET", "/jobs?x=1", "ListJobs", "none"),
        (BATCH, "GET", "/jobs/1", "DescribeJob", "none"),
        (BATCH, "POST", "/jobs/1/priority?priority=3", "UpdateJobPriority", "none"),
        (BATCH, "POST", "/jobs/1/status", "UpdateJobStatus", "none"),
        (BATCH, "DELETE", "/jobs/1", "DeleteJob", "none"),
        (BATCH, "GET", "/elsewhere", "Unknown", "none"),
        (
            "ap-beijing.migration.myqcloud.com",
            "POST",
            "/b-1250000000/",
            "PutAsyncFetchTask",
            "bucket",
        ),
        (
            "ap-beijing.migration.myqcloud.com",
            "GET",
            "/b-1250000000/t1",
            "GetAsyncFetchTask",
            "bucket",
        ),
        ("vectors.ap-guangzhou.coslake.com", "POST", "/QueryVectors", "QueryVectors", "none"),
        ("vectors.ap-guangzhou.coslake.com", "POST", "/Query", "Unknown", "none"),
        (JSON_API, "GET", "/files/v2/1250000000/b/f/?op=list", "JSON-API:ListFolder", "object"),
        (JSON_API, "GET", "/files/v2/1250000000/b/f?op=stat", "JSON-API:StatFile", "object"),
        (JSON_API, "POST", "/files/v2/1250000000/b/f", "Unknown", "object"),
    ],
)
def test_other_services(host: str, method: str, target: str, name: str, level: str) -> None:
    found = operation(host, method, target)
    assert (found.name, found.level) == (name, level)


def test_form_uploads() -> None:
    assert operation(BUCKET, "POST", "/", FORM).name == "PostObject"
    assert operation(BUCKET, "POST", "/?delete", FORM).name == "DeleteMultipleObjects"
    upload = operation(JSON_API, "POST", "/files/v2/1250000000/b/f", FORM)
    assert upload.name == "JSON-API:UploadFile"
    assert not upload.uploads_object


def test_a_custom_domain_has_levels_without_a_bucket() -> None:
    for target, name, level in (("/", "GetBucket", "bucket"), ("/k", "GetObject", "object")):
        endpoint = custom_endpoint("cdn.example.com", target)
        found = read_operation(endpoint, "GET", target, Headers())
        assert (found.name, found.level) == (name, level)


def test_range_and_processing() -> None:
    ranged = ("range", "bytes=0-1")
    plain = operation(BUCKET, "GET", "/k", ranged)
    assert (plain.processed, plain.downloads_object) == (False, True)
    image = operation(BUCKET, "GET", "/k?imageMogr2/format/png", ranged)
    assert (image.processed, image.downloads_object) == (True, True)
    media = operation(BUCKET, "GET", "/k?ci-process=snapshot", ranged)
    assert (media.processed, media.downloads_object) == (True, True)
    assert operation(BUCKET, "HEAD", "/k?imageMogr2/format/png").processed
    assert not operation(BUCKET, "GET", "/k?acl", ranged).downloads_object


def test_uploads_and_copies() -> None:
    for method, target, fields, etag_is_md5 in (
        ("PUT", "/k", (), True),
        ("PUT", "/k?partNumber=1&uploadId=x", (), True),
        ("POST", "/k?append&position=0", (), False),
        ("POST", "/", (FORM,), True),
    ):
        found = operation(BUCKET, method, target, *fields)
        assert (found.uploads_object, found.etag_is_md5) == (True, etag_is_md5)
        assert not found.processed_upload
    pictures = operation(BUCKET, "PUT", "/k", ("pic-operations", "{}"))
    assert (pictures.uploads_object, pictures.processed_upload) == (True, True)
    for query in ("", "?partNumber=1&uploadId=x"):
        found = operation(BUCKET, "PUT", f"/k{query}", (COPY, "s"))
        assert (found.copies, found.may_fail_late, found.uploads_object) == (True, True, False)
    assert operation(BUCKET, "POST", "/k?uploadId=x").may_fail_late
    assert operation(BUCKET, "POST", "/k?uploads").reads_result


def test_ci_answers() -> None:
    assert operation(CI, "GET", "/jobs").answer == "xml"
    assert operation("1250000000.ci.ap-beijing.myqcloud.com", "GET", "/dataset").answer == "json"


targets = st.one_of(
    st.text(),
    st.builds(
        lambda path, query: f"/{path}?{'&'.join(query)}",
        st.sampled_from(["", "k", "jobs", "jobs/1", "files/v2/1/b/k"]),
        st.lists(
            st.sampled_from(["uploadId", "partNumber=1", "acl", "ci-process=", "live", "style/"])
            | st.text(max_size=8),
            max_size=4,
        ),
    ),
)


@given(
    st.sampled_from([BUCKET, CI, PIC, WEBSITE, BATCH, JSON_API, "cos.ap-beijing.myqcloud.com"]),
    st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS"]) | st.text(max_size=8),
    targets,
)
def test_reads_anything(host: str, method: str, target: str) -> None:
    found = operation(host, method, target, ("content-type", "multipart/x"), ("range", ""))
    assert found.name
