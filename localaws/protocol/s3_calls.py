"""Which operation of S3 a request is: its method, its query, and whether it names an object say so together."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

OF_BUCKETS = re.compile(r"(.+)\.s3[.-]")
"""A host that names the bucket; otherwise it is the first part of the path."""
OF_OBJECT = {
    ("PUT", "partNumber"): "UploadPart",
    ("PUT", ""): "PutObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("GET", "uploadId"): "ListParts",
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("DELETE", ""): "DeleteObject",
}
OF_BUCKET = {
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", ""): "ListObjects",
    ("PUT", ""): "CreateBucket",
    ("HEAD", ""): "HeadBucket",
    ("DELETE", ""): "DeleteBucket",
}


def operation(method: str, url: str, host: str) -> str:
    """Its name; empty for one that is seldom asked for."""
    parts = urlsplit(url)
    path = parts.path.lstrip("/") if OF_BUCKETS.match(host) else parts.path.lstrip("/").partition("/")[2]
    known = OF_OBJECT if path else OF_BUCKET
    query = parse_qs(parts.query, keep_blank_values=True)
    return next((name for (verb, key), name in known.items() if verb == method and key in {"", *query}), "")
