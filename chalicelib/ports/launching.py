"""What a launch chooses from, and what its boxes are given: images, key pairs, a way to report."""

from collections.abc import Collection, Mapping
from typing import Protocol

from chalicelib.domain.catalogue import PublicImage
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.keys import KeyPair, KeyType, NewKeyPair


class Catalogue(Protocol):
    """What can be launched from that Curfew has not made."""

    def deep_learning(self, region: str, architecture: str) -> Mapping[str, str]:
        """The public parameters of AWS's current deep-learning images, and the AMI of each. Raises Unavailable."""

    def described(self, region: str, ids: Collection[str]) -> tuple[PublicImage, ...]:
        """These images, but for those that are no more. Raises Unavailable."""

    def named(self, region: str, name: str) -> tuple[PublicImage, ...]:
        """Everybody's public images that have this in their names, 1,000 at most. Raises Unavailable."""

    def regions_with(self, image_id: str, regions: Collection[str]) -> tuple[str, ...]:
        """Those of the regions that have this image for the account, as far as they answered in time. Never raises."""


class NoCatalogue:
    """Nothing but AMIs by their ids."""

    def deep_learning(self, region: str, architecture: str) -> Mapping[str, str]:
        """None."""
        del region, architecture
        return {}

    def described(self, region: str, ids: Collection[str]) -> tuple[PublicImage, ...]:
        """None."""
        del region, ids
        return ()

    def named(self, region: str, name: str) -> tuple[PublicImage, ...]:
        """None."""
        del region, name
        return ()

    def regions_with(self, image_id: str, regions: Collection[str]) -> tuple[str, ...]:
        """None that is known."""
        del image_id, regions
        return ()


class KeyPairs(Protocol):
    """EC2's key pairs, which are each region's own."""

    def pairs(self, region: str) -> tuple[KeyPair, ...]:
        """All of a region. Raises Unavailable."""

    def has(self, region: str, name: str) -> bool:
        """Whether a region has one of that name. Raises Unavailable."""

    def regions_with(self, name: str, regions: Collection[str]) -> tuple[str, ...]:
        """Those of the regions that have one of that name, as far as they answered in time. Never raises."""

    def bring(self, region: str, name: str, public_key: str, *, owner: str) -> KeyPair:
        """Import a public key. Raises Refused (`key-exists`, `bad-key`), Unavailable."""

    def make(self, region: str, name: str, kind: KeyType, *, owner: str) -> NewKeyPair:
        """Have EC2 make one. Raises Refused (`key-exists`, `bad-key`), Unavailable."""


class NoKeyPairs:
    """Nobody knows which there are: EC2 alone judges a launch's."""

    def pairs(self, region: str) -> tuple[KeyPair, ...]:
        """Not known."""
        raise Unavailable(f"key pairs in {region} are not asked about")

    def has(self, region: str, name: str) -> bool:
        """Not known."""
        raise Unavailable(f"{name} in {region} is not asked about")

    def regions_with(self, name: str, regions: Collection[str]) -> tuple[str, ...]:
        """None that is known."""
        del name, regions
        return ()

    def bring(self, region: str, name: str, public_key: str, *, owner: str) -> KeyPair:
        """Not done."""
        del public_key, owner
        raise Unavailable(f"{name} was not imported into {region}")

    def make(self, region: str, name: str, kind: KeyType, *, owner: str) -> NewKeyPair:
        """Not done."""
        del kind, owner
        raise Unavailable(f"{name} was not made in {region}")


class Beacons(Protocol):
    """Where launched boxes tell of their work, and the keys that they sign with."""

    def new_key(self) -> str:
        """A key for one lease, that nobody can guess."""

    def of(self, lease_id: str, key: str) -> Beacon:
        """What a box of a lease is given."""
