"""Key pairs of each region. What EC2 answers of a private part is handed on, and stands in no log and no error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import monotonic
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.errors import Refused
from chalicelib.domain.keys import KeyPair, KeyType, NewKeyPair
from chalicelib.domain.tags import OWNER_TAG
from chalicelib.gateways.aws import (
    ASKING,
    AWS_ERRORS,
    DENIED,
    HURRIED,
    LAUNCHING,
    Aws,
    code_of,
    explain,
    is_settled,
    unavailable,
)

NOT_FOUND = "InvalidKeyPair.NotFound"
TAKEN = "InvalidKeyPair.Duplicate"
PATIENCE_SECONDS = 4.0
"""Regions are searched one after the other for so long."""


class Ec2Keys:
    """EC2's key pairs."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def pairs(self, region: str) -> tuple[KeyPair, ...]:
        """All of a region."""
        try:
            answer = self._aws.ec2(region, ASKING).describe_key_pairs()
        except AWS_ERRORS as error:
            raise unavailable(f"listing key pairs in {region}", error) from error
        return tuple(_to_pair(raw, region) for raw in answer.get("KeyPairs") or [])

    def has(self, region: str, name: str) -> bool:
        """Whether a region has one of that name."""
        try:
            answer = self._aws.ec2(region, HURRIED).describe_key_pairs(KeyNames=[name])
        except AWS_ERRORS as error:
            if isinstance(error, ClientError) and code_of(error) == NOT_FOUND:
                return False
            raise unavailable(f"looking for the key pair {name} in {region}", error) from error
        return bool(answer.get("KeyPairs"))

    def regions_with(self, name: str, regions: Collection[str]) -> tuple[str, ...]:
        """Those of the regions that have one of that name, as far as they answered in time."""
        deadline, found = monotonic() + PATIENCE_SECONDS, list[str]()
        for region in regions:
            if monotonic() > deadline:
                break
            try:
                answer = self._aws.ec2(region, HURRIED).describe_key_pairs(KeyNames=[name])
            except AWS_ERRORS:
                continue
            if answer.get("KeyPairs"):
                found.append(region)
        return tuple(found)

    def bring(self, region: str, name: str, public_key: str, *, owner: str) -> KeyPair:
        """Import a public key."""
        try:
            raw = self._aws.ec2(region, LAUNCHING).import_key_pair(
                KeyName=name, PublicKeyMaterial=public_key.encode(), TagSpecifications=_tagged(owner)
            )
        except AWS_ERRORS as error:
            raise _failure("importing", region, name, error) from error
        return _to_pair(
            {"KeyType": public_key.partition(" ")[0].removeprefix("ssh-"), **raw}, region, owner=owner
        )

    def make(self, region: str, name: str, kind: KeyType, *, owner: str) -> NewKeyPair:
        """Have EC2 make one, in one try: a second would find the first one's name taken."""
        try:
            raw = self._aws.ec2(region, LAUNCHING).create_key_pair(
                KeyName=name, KeyType=kind, KeyFormat="pem", TagSpecifications=_tagged(owner)
            )
        except AWS_ERRORS as error:
            raise _failure("making", region, name, error) from error
        return NewKeyPair(
            pair=_to_pair({"KeyType": kind, **raw}, region, owner=owner), private_key=raw["KeyMaterial"]
        )


def _tagged(owner: str) -> Any:
    return [{"ResourceType": "key-pair", "Tags": [{"Key": OWNER_TAG, "Value": owner}]}]


def _failure(what: str, region: str, name: str, error: Exception) -> Exception:
    if code_of(error) == TAKEN:
        return Refused(
            f"{region} has a key pair {name!r} already, and it stays as it is: nobody can read its private part again. "
            "Use it where you have that, else take another name",
            slug="key-exists",
        )
    if is_settled(error) and code_of(error) not in DENIED:
        return Refused(
            f"EC2 refused {what} the key pair {name!r} in {region}: {explain(error)}. Nothing was imported or made",
            slug="bad-key",
        )
    return unavailable(
        f"{what} the key pair {name!r} in {region}; it may be there all the same, see GET /key-pairs", error
    )


def _to_pair(raw: Mapping[str, Any], region: str, *, owner: str | None = None) -> KeyPair:
    tags = {tag.get("Key"): tag.get("Value") for tag in raw.get("Tags") or []}
    return KeyPair(
        name=raw.get("KeyName") or "",
        region=region,
        id=raw.get("KeyPairId") or "",
        type=raw.get("KeyType") or "rsa",
        fingerprint=raw.get("KeyFingerprint") or "",
        created_at=raw.get("CreateTime"),
        owner=owner or tags.get(OWNER_TAG),
    )
