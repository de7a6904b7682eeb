"""The public images of a region, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from chalicelib.domain.catalogue import PublicImage
from chalicelib.domain.errors import Unavailable


@dataclass
class MemoryCatalogue:
    """`parameters` by region and architecture, `images` by region; with `fails` nothing is answered."""

    parameters: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    images: list[PublicImage] = field(default_factory=list)
    fails: bool = False

    def deep_learning(self, region: str, architecture: str) -> Mapping[str, str]:
        self._answer()
        return self.parameters.get((region, architecture), {})

    def described(self, region: str, ids: Collection[str]) -> tuple[PublicImage, ...]:
        self._answer()
        return tuple(image for image in self.images if image.region == region and image.id in ids)

    def named(self, region: str, name: str) -> tuple[PublicImage, ...]:
        self._answer()
        return tuple(image for image in self.images if image.region == region and name in image.name)

    def regions_with(self, image_id: str, regions: Collection[str]) -> tuple[str, ...]:
        here = {image.region for image in self.images if image.id == image_id and not self.fails}
        return tuple(region for region in regions if region in here)

    def _answer(self) -> None:
        if self.fails:
            raise Unavailable("asking SSM for AWS's deep-learning images: no answer")
