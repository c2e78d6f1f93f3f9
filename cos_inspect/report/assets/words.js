"use strict";
// What stands in reports as a short word, in a sentence.
(() => {
  cosInspect.words = {
    VERDICTS: ["error", "warning", "notice", "ok"],
    MANY: { error: "errors", warning: "warnings", notice: "notices", ok: "ok" },
    REASONS: {
      "no-header": "there is no value to compare with",
      "not-md5": "the ETag is not an MD5",
      "sse-kms": "with SSE-KMS it describes other bytes",
      "sse-c": "with SSE-C it describes other bytes",
      range: "it describes the whole object, the body is a part of it",
      "no-body": "there was no body",
      head: "HEAD has no body",
      "not-modified": "not modified, so there was no body",
      processed: "processing made the body",
      website: "a static website answers with documents of its own",
      append: "it describes the whole object, not what was appended",
      copy: "it describes other bytes than the request carried",
      "failed-request": "the request failed",
      incomplete: "the body ended early",
      "unseen-parts": "flows that it needs were not seen",
      "client-encoded": "the framing of the upload is broken",
      "re-encoded": "the content coding was changed on the way",
      callback: "the caller's own server made the answer",
      "not-captured": "the body was not recorded, or the value was masked",
      malformed: "the value cannot be read",
      "not-inspected": "it was too long to be read, or what was to read it has failed",
      "no-credentials": "the secret key is not known",
      unsupported: "this form is not understood",
    },
    KINDS: {
      "multipart-upload": "Multipart upload",
      "ranged-download": "Ranged download",
      append: "Appended object",
      retry: "Retry",
    },
    LINES: { method: "method", path: "path", parameters: "parameter", headers: "header" },
  };
})();
