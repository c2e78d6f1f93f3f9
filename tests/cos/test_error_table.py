import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.error_table import (
    explain_error,
    explain_status,
    explanations_of,
    known_codes,
)
from cos_inspect.cos.tables import rows

CODES = """
    BadRequest BadRquest InvalidArgument InvalidRequest InvalidURI InvalidRegionName MissingHost
    MissingAppid MissingSecurityHeader MissingRequestBodyError MissingContentLength
    MethodNotAllowed NotImplemented InternalError ServiceUnavailable SlowDown RequestTimeout
    RequestTimeOut UserNetworkTooSlow IncompleteBody ImcompleteBody EntitySizeNotMatch
    UnexpectedContent MaxMessageLengthExceeded XMLSizeLimit MalformedXML InvalidDigest BadDigest
    InvalidSHA1Digest VerifyAlgorithmNotSupported MissingContentMD5 InlineDataTooLarge
    JsonAPINotSupportOnMAZBucket PaymentRequired AccountProblem UnavailableForLegalReasons
    DomainAuditFailed PermanentRedirect TemporaryRedirect Redirect PreconditionFailed
    InvalidRange KeyTooLong InvalidObjectName UserKeyMustBeSpecified AccessDenied
    RequestTimeTooSkewed SignatureDoesNotMatch InvalidAccessKeyId ExpiredToken InvalidSecurity
    InvalidAddressingHeader AccessForbidden PathStyleDomainForbidden NoProcessAuthority
    UserNotSourceBucketOwner UserNotTargetBucketOwner InvalidBucketName BucketNameTooLong
    TooManyBuckets TooManyBucket InvalidLocationConstraint BucketAlreadyExists
    BucketAlreadyOwnedByYou BucketAlreadyExistsDiffRegion BucketNotEmpty BucketLocked
    InvalidBucketState QuotaOperationConflict NoSuchBucket NoBucketQuotaPolicy QuotaConflict
    QuotaOperationConfilct BucketAccelerateNotEnabled ActionAccelerateNotSupported
    BucketVersionNotOpen MultiAZFeatureNotSupport MultiBucketNotSupport
    MAZOperationNotSupportOnOAZBucket OAZOperationNotSupportOnMAZBucket
    InvalidTargetBucketForLogging TargetBucketNameInvalid LoggingConfExists LoggingPrefixInvalid
    InventoryFull InventoryConfigurationNotFoundError AttachmentFull InvalidTag NoSuchTagSet
    NoSuchWebsiteConfiguration WebsiteURLInvalid OriginConfigurationNotFoundError
    ReplicationConfigurationNotFoundError DomainConfigConflict RecordAlreadyExist
    DNSRecordVerifyFailed UserCnameInvalid NotifyRuleEventConflict NotifyRulePrefixConflict
    NotifyRuleSuffixConflict MalformedPolicy InvalidPolicyDocument PolicyFull PolicyVersionFull
    NoSuchPolicyVersion NoSuchPolicy NoSuchRefererConfiguration RequestIsExpired
    NoSuchBucketPolicy MalformedACLError UnresolvableGrantByUID NoSuchKey
    NoSuchCopySource InvalidCopySource NoSuchVersion EntityTooLarge MetadataTooLarge
    MatadataTooLarge NotSupportedStorageClass InvalidObjectStorage InvalidObjectState
    RestoreNonArchiveObject RestoreAlreadyInProgress AppendPositionErr ObjectNotAppendable
    PathConflict ObjectLocked InvalidLockedTime NoSuchObjectLockConfiguration InvalidDelimiter
    actionAborted NoSuchUpload InvalidPart InvalidPartOrder EntityTooSmall InvalidUploadStatus
    ListPartUploadIdIsEmpty UploadIdNotSupported UploadConflict SSEContentNotSupported
    SSEHeaderNotAllowed SsecDecryptHeaderInvalid KmsException KmsKeyDisabled KmsKeyNotExist
    KmsInternalException KmsFreqControl NoSuchEncryptionConfiguration NoSuchCORSConfiguration
    NoSuchLifecycleConfiguration LifeCycleIdNotUnique LifeCycleRuleConflicted NoLifecycle
    MalformedPOSTRequest RequestIsNotMultiPartContent IncorrectNumberOfFilesInPostRequest
    MaxPostPreDataLengthExceededError InvalidPicOperations InvalidImageFormat InvalidImageSource
    ImageResolutionExceed ImageTooLarge NoSuchJob TooManyJobs -103 -104 -105 -106 -107 -108 -109
    -110 -113 -120 -124 -154 -156 -162 -163 -164 -165 -166 -167 -441 -442 -443 -447 -901 -902
    -3006 -3008 -3011 -3015 -3075 -5062 -6101 -29033 -29034 -29214 -40168 -46152
    ValidationException ServiceQuotaExceededException AccessDeniedException NotFoundException
    ConflictException TooManyRequestsException InternalServerException
    ServiceUnavailableException KmsDisabledException KmsInvalidKeyUsageException
    KmsInvalidStateException KmsNotFoundException ERROR_CMD_CORSRULE_NOT_MATCH
    ERROR_PROXY_S3_AUTH_EXPIRED ERROR_PROXY_AUTH_EXPIRED ERROR_CGI_URL_NOTMATCH NoSuchResource
    10000 10001 10002 10003 10004 20000 20001 20002 20003 20004 20005 30000 30001 40000
    FileAlreadyExists DirAlreadyExists DirectoryObjectContainsData AnonymousPolicyFull
    InvalidHostname BucketCreating BucketDeleting NotSymlink -47 -48 -59 -61 -63 -70 -71 -97 -121
    -133 -175 -177 -178 -195 -196 -197 -199 -284 -4016 -4019 -4020 -5965 -5997 -5999
"""
DOCUMENTED = frozenset(CODES.split()) | {"Request has expired"}


def test_every_documented_code_is_there() -> None:
    assert set(known_codes()) == DOCUMENTED


def test_every_row_is_explained() -> None:
    table = rows("errors")
    own = {row["code"] for row in table if not row["alias_of"]}
    for row in table:
        assert row["http_status"].isdigit() or row["http_status"] in {"varies", "N/A"}
        if row["alias_of"]:
            assert row["alias_of"] in own
        else:
            assert row["meaning"].endswith(".")
            assert row["likely_cause"].endswith(".")
            assert row["what_to_do"].endswith(".")
    for code in known_codes():
        explanation = explain_error(code)
        assert explanation is not None
        assert explanation.meaning
        assert explanation.cause
        assert explanation.fix


def test_row_of_the_status() -> None:
    archived = explain_error("InvalidObjectState", None, 403)
    changing = explain_error("InvalidObjectState", None, 409)
    assert archived is not None
    assert changing is not None
    assert (archived.status, changing.status) == ("403", "409")
    assert archived.meaning != changing.meaning
    # A status that no row has: the first row.
    assert explain_error("InvalidObjectState", None, 400) == archived


@pytest.mark.parametrize(
    ("message", "as_code"),
    [
        ("Request has expired", "Request has expired"),
        ("Request has expired.", "Request has expired"),
        ("SignatureDoesNotMatch", "SignatureDoesNotMatch"),
        ("requesttimetooskewed", "RequestTimeTooSkewed"),
        ("Request has expired, please sign again", "Request has expired"),
    ],
)
def test_precise_name_in_the_message(message: str, as_code: str) -> None:
    found, named = explain_error("AccessDenied", message, 403), explain_error(as_code, None, 403)
    assert found is not None
    assert named is not None
    assert (found.meaning, found.cause, found.fix) == (named.meaning, named.cause, named.fix)
    general = explain_error("AccessDenied", "Access Denied.", 403)
    assert general is not None
    assert general.meaning != found.meaning


def test_message_that_narrows_a_code() -> None:
    narrowed = explain_error("AccessDenied", "You are denied by bucket referer rule", 403)
    assert narrowed is not None
    assert "hotlink" in narrowed.meaning
    digest = explain_error("InvalidRequest", "Missing required header: Content-MD5", 400)
    assert digest is not None
    assert "Content-MD5" in digest.meaning
    plain = explain_error("InvalidRequest", "Missing required header: Appid", 400)
    assert plain is not None
    assert plain.meaning != digest.meaning


@pytest.mark.parametrize(
    ("spelling", "proper"),
    [
        ("BadRquest", "BadRequest"),
        ("RequestTimeOut", "RequestTimeout"),
        ("ImcompleteBody", "IncompleteBody"),
        ("MatadataTooLarge", "MetadataTooLarge"),
        ("QuotaOperationConfilct", "QuotaOperationConflict"),
    ],
)
def test_other_spellings(spelling: str, proper: str) -> None:
    found, named = explain_error(spelling), explain_error(proper)
    assert found is not None
    assert named is not None
    assert found.meaning == named.meaning


def test_unknown_code() -> None:
    assert explain_error("NoSuchThing", "whatever", 404) is None
    assert explain_error(None) is None
    assert explain_error("", "") is None
    assert explanations_of("NoSuchThing") == ()


def test_a_code_that_means_something_else_to_some_requests() -> None:
    plain = explain_error("ExpiredToken", None, 403)
    rapid = explain_error("ExpiredToken", None, 403, {"xml", "rapid"})
    assert plain is not None
    assert rapid is not None
    assert "CreateSession" not in plain.fix
    assert "CreateSession" in rapid.fix
    # What holds for others only is told where a code has nothing else.
    assert explain_error("NoSuchJob", None, 404, {"xml"}) is not None
    common = explain_error("InvalidArgument", None, 400, {"xml"})
    batch = explain_error("InvalidArgument", None, 400, {"batch"})
    assert common is not None
    assert batch is not None
    assert (common.scope, batch.scope) == ("common", "batch")


def test_a_message_goes_before_a_context() -> None:
    found = explain_error("AccessDenied", "Request has expired", 403, {"copy", "rapid", "xml"})
    assert found == explain_error("AccessDenied", "Request has expired", 403)


def test_all_rows_of_a_code() -> None:
    assert {row.scope for row in explanations_of("invalidargument")} == {
        "common",
        "batch",
        "copy",
    }


@pytest.mark.parametrize("status", [301, 304, 403, 404, 405, 409, 411, 412, 416, 500, 503])
def test_status_alone(status: int) -> None:
    explanation = explain_status(status)
    assert explanation is not None
    assert explanation.status == str(status)
    assert explanation.meaning
    assert explanation.fix


def test_status_in_its_context() -> None:
    plain, refused = explain_status(403), explain_status(403, {"xml", "referer"})
    assert plain is not None
    assert refused is not None
    assert "hotlink" in refused.meaning
    assert "hotlink" not in f"{plain.meaning} {plain.cause} {plain.fix}"
    assert explain_status(404, {"referer"}) == explain_status(404)


def test_status_that_needs_no_words() -> None:
    assert explain_status(200) is None


@given(st.text(max_size=80), st.text(max_size=80), st.integers(), st.sets(st.text(max_size=8)))
def test_never_raises(code: str, message: str, status: int, contexts: set[str]) -> None:
    explain_error(code, message, status, contexts)
    explain_error("AccessDenied", message, status, contexts)
