"use strict";
// What may differ between two requests, and whether it decides what becomes of them. Also read by
// compare.py, so all behind the "=" is JSON. weight: what is named first; 0: expected to differ.
// codes: errors that speak of it, which put it before everything else.
cosInspect.differences = {
  "kinds": {
    "signing": {"weight": 85, "title": "How it was signed", "codes": ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "MissingSecurityHeader"], "why": "One was signed otherwise than the other, or not at all."},
    "signing-place": {"weight": 24, "title": "Where the signature stands", "codes": [], "why": "COS takes it in the header, in the URL and in a form alike; in the URL fewer headers are signed."},
    "secret-id": {"weight": 80, "title": "The key (SecretId)", "codes": ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"], "why": "They were signed with different keys, which may have different rights, or one of them a wrong SecretKey."},
    "token": {"weight": 78, "title": "The token of the temporary key", "codes": ["AccessDenied", "InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "InvalidSecurity"], "why": "A temporary key is known to COS only together with its own token."},
    "validity": {"weight": 77, "title": "The time for which the signature is valid", "codes": ["AccessDenied", "RequestTimeTooSkewed", "ExpiredToken"], "why": "Outside this time COS refuses the signature."},
    "clock": {"weight": 76, "title": "The client's clock", "codes": ["AccessDenied", "RequestTimeTooSkewed"], "why": "The signature was made at another time than the request was sent: set the clock, or sign with the server's time."},
    "check": {"weight": 74, "title": "A check of the bytes", "codes": ["BadDigest", "InvalidDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"], "why": "The bytes are not those that were announced."},
    "expect": {"weight": 72, "title": "Expect: 100-continue", "codes": ["SignatureDoesNotMatch"], "why": "Where it is signed and a proxy takes it away, the signature fails: leave it out of what is signed."},
    "escape": {"weight": 70, "title": "The escapes of the path", "codes": ["SignatureDoesNotMatch", "NoSuchKey", "InvalidURI"], "why": "The same name is written with other percent escapes; the decoded path has to be signed."},
    "unsigned-header": {"weight": 68, "title": "A header that only one of them signed", "codes": ["AccessDenied", "SignatureDoesNotMatch"], "why": "A bucket may want this header signed; where a proxy adds or changes it, it must not be."},
    "unsigned-common": {"weight": 27, "title": "A header that only one of them signed, and that need not be", "codes": [], "why": "No bucket asks for its signature; where a proxy adds or changes it, it must not be signed."},
    "characters": {"weight": 66, "title": "Characters of the key that need escapes", "codes": ["SignatureDoesNotMatch", "InvalidURI"], "why": "Names with other characters than A-Z a-z 0-9 - _ . ~ / are often signed otherwise than sent."},
    "bucket": {"weight": 64, "title": "The bucket", "codes": ["AccessDenied", "NoSuchBucket", "InvalidBucketName", "SignatureDoesNotMatch"], "why": "Rights, region and settings are those of the bucket."},
    "region": {"weight": 62, "title": "The region", "codes": ["NoSuchBucket", "PermanentRedirect", "InvalidRegionName", "SignatureDoesNotMatch"], "why": "A bucket is known in its own region only."},
    "host": {"weight": 60, "title": "The host", "codes": ["NoSuchBucket", "SignatureDoesNotMatch", "InvalidURI", "AccessDenied"], "why": "The host is signed, and hosts of other kinds offer other operations."},
    "method": {"weight": 58, "title": "The method", "codes": ["SignatureDoesNotMatch", "MethodNotAllowed", "AccessDenied"], "why": "It is signed, and each has rights of its own."},
    "parameter-signed": {"weight": 50, "title": "A signed parameter", "codes": ["SignatureDoesNotMatch", "InvalidArgument", "NoSuchUpload", "NoSuchVersion", "InvalidPart", "AppendPositionErr"], "why": "Its value is part of what is signed, and of what is asked for."},
    "header-signed": {"weight": 48, "title": "A signed header", "codes": ["SignatureDoesNotMatch", "InvalidArgument"], "why": "Its value is part of what is signed."},
    "scheme": {"weight": 40, "title": "http or https", "codes": ["AccessDenied"], "why": "A bucket may refuse plain HTTP."},
    "path": {"weight": 34, "title": "The object", "codes": ["NoSuchKey", "AccessDenied", "ObjectNotAppendable", "InvalidObjectState", "PathConflict"], "why": "Rights and state are those of the object."},
    "body": {"weight": 30, "title": "The body", "codes": ["BadDigest", "InvalidDigest", "MalformedXML", "MalformedPolicy", "EntityTooLarge", "EntityTooSmall", "InvalidPart", "InvalidPartOrder", "MissingRequestBodyError"], "why": "Other bytes were sent."},
    "parameter": {"weight": 28, "title": "A parameter that is not signed", "codes": ["InvalidArgument", "AccessDenied", "NoSuchUpload", "NoSuchVersion", "InvalidPart", "AppendPositionErr"], "why": "The signature does not depend on it; what COS does may."},
    "header": {"weight": 26, "title": "A header that is not signed", "codes": ["InvalidArgument", "AccessDenied", "MissingContentLength", "NotModified", "PreconditionFailed", "InvalidRange", "InvalidDigest", "BadDigest"], "why": "The signature does not depend on it; what COS does may."},
    "client": {"weight": 20, "title": "The client", "codes": [], "why": "Another program or version may sign and send otherwise."},
    "http-version": {"weight": 0, "title": "The version of HTTP", "codes": [], "why": "COS answers the same in each."},
    "address": {"weight": 7, "title": "How the server was reached", "codes": [], "why": "The client asked an IP address, with the name of COS in Host alone."},
    "tls": {"weight": 0, "title": "TLS", "codes": [], "why": "COS answers the same over each version."},
    "parameter-order": {"weight": 0, "title": "The order of parameters", "codes": [], "why": "They are sorted before they are signed."},
    "header-expected": {"weight": 0, "title": "A header that differs from request to request", "codes": [], "why": "Expected to differ."},
    "time": {"weight": 0, "title": "When it was sent", "codes": [], "why": "Expected to differ."},
    "ids": {"weight": 0, "title": "The request id", "codes": [], "why": "Expected to differ."}
  },
  "expected": ["authorization", "amz-sdk-invocation-id", "amz-sdk-request", "content-length", "content-md5", "cookie", "date", "if-modified-since", "range", "traceparent", "tracestate", "user-agent", "x-amz-content-sha256", "x-amz-date", "x-cos-trace-id"],
  "decisive": {"InvalidRange": ["range"], "InvalidDigest": ["content-md5"], "BadDigest": ["content-md5"], "MissingContentLength": ["content-length"], "PreconditionFailed": ["if-modified-since"]},
  "need_no_signature": ["accept", "accept-encoding", "connection", "date", "user-agent"],
  "elsewhere": ["host", "expect", "x-cos-security-token", "x-ci-security-token", "x-amz-security-token"],
  "signature_parameters": ["q-ak", "q-header-list", "q-key-time", "q-sign-algorithm", "q-sign-time", "q-signature", "q-url-param-list", "sign", "token", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token", "x-amz-signature", "x-amz-signedheaders", "x-ci-security-token", "x-cos-security-token"],
  "skew_seconds": 300
};
