"""The key pairs of an account, in memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.keys import KeyPair, KeyType, NewKeyPair


@dataclass
class MemoryKeys:
    """`known`: by region and name; with `fails` nothing is answered."""

    known: dict[tuple[str, str], KeyPair] = field(default_factory=dict)
    fails: bool = False

    def pairs(self, region: str) -> tuple[KeyPair, ...]:
        self._answer()
        return tuple(pair for pair in self.known.values() if pair.region == region)

    def has(self, region: str, name: str) -> bool:
        self._answer()
        return (region, name) in self.known

    def regions_with(self, name: str, regions: Collection[str]) -> tuple[str, ...]:
        return tuple(region for region in regions if (region, name) in self.known)

    def bring(self, region: str, name: str, public_key: str, *, owner: str) -> KeyPair:
        return self._keep(region, name, public_key.partition(" ")[0].removeprefix("ssh-"), owner)

    def make(self, region: str, name: str, kind: KeyType, *, owner: str) -> NewKeyPair:
        return NewKeyPair(pair=self._keep(region, name, kind, owner), private_key="-----BEGIN SECRET-----")

    def _keep(self, region: str, name: str, kind: str, owner: str) -> KeyPair:
        self._answer()
        if (region, name) in self.known:
            raise Refused(f"{region} has a key pair {name!r} already", slug="key-exists")
        pair = KeyPair(
            name=name, region=region, id=f"key-{len(self.known)}", type=kind, fingerprint="f", owner=owner
        )
        self.known[region, name] = pair
        return pair

    def _answer(self) -> None:
        if self.fails:
            raise Unavailable("listing key pairs: no answer")
