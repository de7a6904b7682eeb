"""Buckets that are there before anybody calls."""

from __future__ import annotations

from moto.s3.models import s3_backends

from localaws.events.bus import ACCOUNT


def make_bucket(name: str, region: str) -> None:
    """An empty one, without the client that a call would need."""
    s3_backends[ACCOUNT]["aws"].create_bucket(name, region)
