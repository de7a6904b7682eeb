"""The transfer bucket: URLs are signed here and used elsewhere; no file passes through this process.

Signing calls nobody. The bucket stands in the home region, so that its endpoint is known without asking.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from botocore.config import Config

from chalicelib.domain.errors import NotFound, Refused
from chalicelib.domain.transfers import SentPart, StoredFile, Upload
from chalicelib.gateways.aws import AWS_ERRORS, Aws, code_of, explain, is_settled, unavailable

if TYPE_CHECKING:
    from botocore.client import BaseClient

SIGNED = Config(
    signature_version="s3v4",
    connect_timeout=1,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 2},
    request_checksum_calculation="when_required",  # else a part that curl sends without one is refused
)
GONE = "NoSuchUpload"
NO_PARAMETER = "ParameterNotFound"


class S3Transfers:
    """Implements chalicelib.ports.Transfers."""

    def __init__(self, aws: Aws, *, bucket: str) -> None:
        self._aws = aws
        self._bucket = bucket

    def upload_url(self, key: str, *, lasts_for: timedelta) -> str:
        """For one PUT."""
        return self._sign("put_object", {"Key": key}, lasts_for)

    def download_url(self, key: str, *, lasts_for: timedelta) -> str:
        """For GETs."""
        return self._sign("get_object", {"Key": key}, lasts_for)

    def part_url(self, upload: Upload, number: int, *, lasts_for: timedelta) -> str:
        """For one part's PUT."""
        of = {"Key": upload.key, "UploadId": upload.upload_id, "PartNumber": number}
        return self._sign("upload_part", of, lasts_for)

    def files(self, prefix: str, *, after: str | None, limit: int) -> tuple[StoredFile, ...]:
        """One page of the bucket."""
        begin = {} if after is None else {"StartAfter": after}
        try:
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=limit, **begin)
        except AWS_ERRORS as error:
            raise unavailable("listing files", error) from error
        return tuple(
            StoredFile(path=one["Key"], size_bytes=one["Size"], modified_at=one["LastModified"])
            for one in answer.get("Contents") or []
        )

    def begin(self, key: str) -> Upload:
        """CreateMultipartUpload."""
        try:
            answer = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)
        except AWS_ERRORS as error:
            raise unavailable("beginning an upload", error) from error
        return Upload(key=key, upload_id=answer["UploadId"])

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        """Every page: there are few, because what is not completed within a day is given up."""
        found, marks = list[dict[str, Any]](), dict[str, str]()
        try:
            while True:
                answer = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix, **marks)
                found += answer.get("Uploads") or []
                if not answer.get("IsTruncated"):
                    break
                marks = {
                    "KeyMarker": answer["NextKeyMarker"],
                    "UploadIdMarker": answer["NextUploadIdMarker"],
                }
        except AWS_ERRORS as error:
            raise unavailable("listing uploads", error) from error
        ordered = sorted(found, key=lambda one: one["Initiated"])
        return tuple(Upload(key=one["Key"], upload_id=one["UploadId"]) for one in ordered)

    def sent(self, upload: Upload) -> Mapping[int, SentPart]:
        """ListParts, every page."""
        of, found = self._of(upload), dict[int, SentPart]()
        try:
            while True:
                answer = self._client.list_parts(**of)
                found |= {
                    one["PartNumber"]: SentPart(size_bytes=one["Size"], etag=one["ETag"])
                    for one in answer.get("Parts") or []
                }
                if not answer.get("IsTruncated"):
                    return found
                of["PartNumberMarker"] = answer["NextPartNumberMarker"]
        except AWS_ERRORS as error:
            _raise("listing parts", error)

    def complete(self, upload: Upload, parts: Mapping[int, SentPart]) -> None:
        """CompleteMultipartUpload."""
        told = [{"PartNumber": number, "ETag": parts[number].etag} for number in sorted(parts)]
        try:
            self._client.complete_multipart_upload(**self._of(upload), MultipartUpload={"Parts": told})
        except AWS_ERRORS as error:
            _raise("completing an upload", error)

    def abort(self, upload: Upload) -> None:
        """AbortMultipartUpload."""
        try:
            self._client.abort_multipart_upload(**self._of(upload))
        except AWS_ERRORS as error:
            if code_of(error) != GONE:
                raise unavailable("giving up an upload", error) from error

    def remote(self, parameter: str) -> str:
        """GetParameter, decrypted."""
        try:
            answer = self._aws.ssm().get_parameter(Name=parameter, WithDecryption=True)
        except AWS_ERRORS as error:
            if is_settled(error):
                why = "there is none" if code_of(error) == NO_PARAMETER else explain(error)
                raise Refused(
                    f"the SSM parameter {parameter} could not be read: {why}; nothing was launched or moved. It has to "
                    "hold an rclone.conf, see docs/transfers.md",
                    slug="sync-refused",
                ) from error
            raise unavailable(f"reading the SSM parameter {parameter}", error) from error
        return (answer.get("Parameter") or {}).get("Value") or ""

    @property
    def _client(self) -> Any:
        client: BaseClient = self._aws.client("s3", self._aws.home_region, SIGNED)
        return client

    def _of(self, upload: Upload) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": upload.key, "UploadId": upload.upload_id}

    def _sign(self, method: str, of: Mapping[str, Any], lasts_for: timedelta) -> str:
        try:
            url = self._client.generate_presigned_url(
                method, Params={"Bucket": self._bucket, **of}, ExpiresIn=int(lasts_for.total_seconds())
            )
        except AWS_ERRORS as error:
            raise unavailable("signing a URL", error) from error
        return cast("str", url)


def _raise(what: str, error: Exception) -> NoReturn:
    if code_of(error) == GONE:
        raise NotFound(
            "this upload is no more: it was completed, given up, or is a day old; POST /transfers begins another"
        ) from error
    raise unavailable(what, error) from error
