"""The bucket that files pass through on their way to a box and home. Nothing is sent through Curfew itself."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from chalicelib.domain.errors import Refused
from chalicelib.domain.transfers import SentPart, StoredFile, Upload


class Transfers(Protocol):
    """S3. Whoever has a URL may use it, for one object, until it expires."""

    def upload_url(self, key: str, *, lasts_for: timedelta) -> str:
        """Where one PUT writes an object, of 5 GiB at most. Raises Unavailable."""

    def download_url(self, key: str, *, lasts_for: timedelta) -> str:
        """Where a GET reads an object. Raises Unavailable."""

    def part_url(self, upload: Upload, number: int, *, lasts_for: timedelta) -> str:
        """Where one PUT writes a part. Raises Unavailable."""

    def files(self, prefix: str, *, after: str | None, limit: int) -> tuple[StoredFile, ...]:
        """Objects by their keys, in order, those after `after`; 1,000 at most. Raises Unavailable."""

    def begin(self, key: str) -> Upload:
        """Begin an upload in parts, which bills for its parts until it is completed or given up. Raises Unavailable."""

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        """Uploads in parts that are neither complete nor given up, the latest last. Raises Unavailable."""

    def sent(self, upload: Upload) -> Mapping[int, SentPart]:
        """The parts that S3 has, by number. Raises Unavailable; NotFound where the upload is no more."""

    def complete(self, upload: Upload, parts: Mapping[int, SentPart]) -> None:
        """Make one object of the parts. Raises Unavailable; NotFound where the upload is no more."""

    def abort(self, upload: Upload) -> None:
        """Give an upload up: its parts bill no more. What is no more is given up. Raises Unavailable."""

    def remote(self, parameter: str) -> str:
        """What an SSM parameter has for rclone; it is never logged. Raises Refused, Unavailable."""


class NoTransfers:
    """No bucket is set."""

    def upload_url(self, key: str, *, lasts_for: timedelta) -> str:
        """None."""
        del key, lasts_for
        raise _off()

    def download_url(self, key: str, *, lasts_for: timedelta) -> str:
        """None."""
        del key, lasts_for
        raise _off()

    def part_url(self, upload: Upload, number: int, *, lasts_for: timedelta) -> str:
        """None."""
        del upload, number, lasts_for
        raise _off()

    def files(self, prefix: str, *, after: str | None, limit: int) -> tuple[StoredFile, ...]:
        """None."""
        del prefix, after, limit
        raise _off()

    def begin(self, key: str) -> Upload:
        """Not begun."""
        del key
        raise _off()

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        """None."""
        del prefix
        raise _off()

    def sent(self, upload: Upload) -> Mapping[int, SentPart]:
        """None."""
        del upload
        raise _off()

    def complete(self, upload: Upload, parts: Mapping[int, SentPart]) -> None:
        """Not done."""
        del upload, parts
        raise _off()

    def abort(self, upload: Upload) -> None:
        """Not done."""
        del upload
        raise _off()

    def remote(self, parameter: str) -> str:
        """Not read."""
        del parameter
        raise _off()


def _off() -> Refused:
    return Refused(
        "CURFEW_TRANSFER_BUCKET is not set: Curfew has no bucket for files; nothing was done. Deploy the whole "
        "template, which makes one, see docs/transfers.md",
        slug="transfers-off",
    )
