"""Errors of COS: code, status, message."""

from collections.abc import Sequence

STATUS = {
    "AccessDenied": 403,
    "AccessForbidden": 403,
    "AppendPositionErr": 409,
    "BadDigest": 400,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "EntityTooLarge": 400,
    "EntityTooSmall": 400,
    "ExpiredToken": 403,
    "IncompleteBody": 400,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidCopySource": 400,
    "InvalidDigest": 400,
    "InvalidObjectState": 403,
    "InvalidPart": 400,
    "InvalidPartOrder": 400,
    "InvalidRange": 416,
    "InvalidRequest": 400,
    "InvalidSHA1Digest": 400,
    "InvalidURI": 400,
    "KeyTooLong": 400,
    "KmsKeyNotExist": 400,
    "MalformedPOSTRequest": 400,
    "MalformedXML": 400,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "MissingContentMD5": 400,
    "MissingRequestBodyError": 400,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NoSuchVersion": 404,
    "NotImplemented": 501,
    "ObjectNotAppendable": 409,
    "PathStyleDomainForbidden": 403,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "RestoreNonArchiveObject": 405,
    "SSEContentNotSupported": 400,
    "SSEHeaderNotAllowed": 400,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "SsecDecryptHeaderInvalid": 400,
    "UserKeyMustBeSpecified": 400,
}
"""Status of each code; a code that is not here is a ``NoSuch…`` (404) or a 400."""

MESSAGE = {
    "AccessDenied": "Access Denied.",
    "AppendPositionErr": "The position to append is not equal to the length of the object.",
    "BadDigest": "The Content-MD5 you specified did not match what we received.",
    "BucketNotEmpty": "The bucket you tried to delete is not empty.",
    "EntityTooSmall": "Your proposed upload is smaller than the minimum allowed size.",
    "InternalError": "We encountered an internal error. Please try again.",
    "InvalidDigest": "The Content-MD5 you specified is not valid.",
    "InvalidPart": "One or more of the specified parts could not be found.",
    "InvalidPartOrder": "The list of parts was not in ascending order.",
    "InvalidRange": "The requested range is not satisfiable.",
    "MissingContentLength": "You must provide the Content-Length HTTP header.",
    "MissingContentMD5": "Missing required header for this request: Content-MD5.",
    "NoSuchBucket": "The specified bucket does not exist.",
    "NoSuchKey": "The specified key does not exist.",
    "NoSuchUpload": "The specified multipart upload does not exist.",
    "NoSuchVersion": "The specified version does not exist.",
    "PreconditionFailed": "Precondition Failed",
    "SignatureDoesNotMatch": "The Signature you specified is invalid.",
    "SlowDown": "Please reduce your request rate.",
    "SsecDecryptHeaderInvalid": "The SSE-C headers of this request do not fit the object.",
}


class OriginError(Exception):
    """An answer other than success. ``extra`` are further elements of its XML,
    ``headers`` further header fields of the answer."""

    def __init__(
        self,
        code: str,
        message: str | None = None,
        status: int | None = None,
        extra: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(code)
        self.code = code
        self.message = MESSAGE.get(code, code) if message is None else message
        default = 404 if code.startswith("NoSuch") or code.endswith("NotFoundError") else 400
        self.status = STATUS.get(code, default) if status is None else status
        self.extra = tuple(extra)
        self.headers = tuple(headers)
