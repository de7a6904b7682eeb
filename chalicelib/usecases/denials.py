"""Regions that AWS denies: asked once an hour instead of every minute, told of once, never dropped without a word."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.instance import RegionView
from chalicelib.ports import Services

ASKED_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Denials:
    """Region → since when it need not be asked, for those that were denied within the hour."""

    since: Mapping[str, datetime] = field(default_factory=dict)

    def asked(self, regions: Collection[str]) -> tuple[str, ...]:
        """The regions that are to be asked now."""
        return tuple(region for region in regions if region not in self.since)

    def views(self, regions: Collection[str]) -> tuple[RegionView, ...]:
        """What is known of the others."""
        return tuple(
            RegionView(region=region, status="denied", error=f"asked again at {at + ASKED_AGAIN:%H:%M} UTC")
            for region, at in self.since.items()
            if region in regions
        )


def recent_denials(services: Services, expected: Collection[str], now: datetime) -> Denials:
    """The denials of the last hour, but for regions that have answered before or have a lease (`expected`): those have
    lost their permission, and are asked every minute."""
    try:
        known = services.store.denied_regions()
    except Unavailable:
        return Denials()
    return Denials(
        {region: at for region, at in known.items() if now - at < ASKED_AGAIN and region not in expected}
    )


def remember_denials(
    services: Services, views: Sequence[RegionView], denials: Denials, now: datetime
) -> tuple[str, ...]:
    """Keep which regions were denied just now; their names. What the table does not take is asked again in a minute."""
    fresh = tuple(
        view.region for view in views if view.status == "denied" and view.region not in denials.since
    )
    if fresh:
        with suppress(Unavailable):
            services.store.put_denied_regions({**denials.since, **dict.fromkeys(fresh, now)})
    return fresh
