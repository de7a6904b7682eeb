"""The transfer bucket, in memory, with a door where its URLs lead: `base` is what they begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import md5
from urllib.parse import parse_qs, quote, unquote, urlsplit

from chalicelib.domain.errors import NotFound, Refused, Unavailable
from chalicelib.domain.transfers import SentPart, StoredFile, Upload
from chalicelib.ports import Clock


@dataclass
class MemoryTransfers:
    """`objects`: by key; `begun`: uploads and their parts; `remotes`: SSM parameters. With `fails` nothing is answered."""

    clock: Clock
    base: str = "http://s3"
    objects: dict[str, bytes] = field(default_factory=dict)
    begun: dict[str, tuple[Upload, dict[int, bytes]]] = field(default_factory=dict)
    remotes: dict[str, str] = field(default_factory=dict)
    fails: bool = False
    aborted: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    """Every URL path that was written to, in order."""

    def upload_url(self, key: str, *, lasts_for: timedelta) -> str:
        return self._url(key, lasts_for)

    def download_url(self, key: str, *, lasts_for: timedelta) -> str:
        return self._url(key, lasts_for)

    def part_url(self, upload: Upload, number: int, *, lasts_for: timedelta) -> str:
        return f"{self._url(upload.key, lasts_for)}&upload={upload.upload_id}&part={number}"

    def files(self, prefix: str, *, after: str | None, limit: int) -> tuple[StoredFile, ...]:
        self._answer()
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > (after or ""))
        now = self.clock.now()
        return tuple(
            StoredFile(path=key, size_bytes=len(self.objects[key]), modified_at=now) for key in keys[:limit]
        )

    def begin(self, key: str) -> Upload:
        self._answer()
        upload = Upload(key=key, upload_id=f"upload-{len(self.begun) + len(self.aborted)}-{key}")
        self.begun[upload.upload_id] = (upload, {})
        return upload

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        self._answer()
        return tuple(upload for upload, _ in self.begun.values() if upload.key.startswith(prefix))

    def sent(self, upload: Upload) -> Mapping[int, SentPart]:
        return {number: _part(body) for number, body in sorted(self._parts(upload).items())}

    def complete(self, upload: Upload, parts: Mapping[int, SentPart]) -> None:
        known = self._parts(upload)
        assert {number: _part(known[number]) for number in parts} == dict(parts)
        self.objects[upload.key] = b"".join(known[number] for number in sorted(parts))
        del self.begun[upload.upload_id]

    def abort(self, upload: Upload) -> None:
        self._answer()
        if self.begun.pop(upload.upload_id, None):
            self.aborted.append(upload.key)

    def remote(self, parameter: str) -> str:
        self._answer()
        if parameter not in self.remotes:
            raise Refused(f"the SSM parameter {parameter} could not be read", slug="sync-refused")
        return self.remotes[parameter]

    def door(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """What S3 answers to whoever follows a URL."""
        url = urlsplit(path)
        key, query = unquote(url.path).removeprefix("/bucket/"), parse_qs(url.query)
        if method == "GET":
            return (200, self.objects[key]) if key in self.objects else (404, b"")
        self.written.append(key)
        if "part" in query:
            self.begun[query["upload"][0]][1][int(query["part"][0])] = body
        else:
            self.objects[key] = body
        return 200, b""

    def _url(self, key: str, lasts_for: timedelta) -> str:
        return f"{self.base}/bucket/{quote(key)}?expires={int(lasts_for.total_seconds())}"

    def _parts(self, upload: Upload) -> dict[int, bytes]:
        self._answer()
        if upload.upload_id not in self.begun:
            raise NotFound("this upload is no more")
        return self.begun[upload.upload_id][1]

    def _answer(self) -> None:
        if self.fails:
            raise Unavailable("S3: no answer")


def _part(body: bytes) -> SentPart:
    return SentPart(size_bytes=len(body), etag=md5(body, usedforsecurity=False).hexdigest())
