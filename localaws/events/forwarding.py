"""Which events reach the home region: EC2's events are regional, and only a rule there sends them on.

Source: EventBridge guide, "Sending and receiving events between AWS Regions in Amazon EventBridge". The rule is that of
.chalice/forwarder.json; where an application has no such file, a forwarder sends on everything that EC2 says.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from localaws.events.patterns import matches
from localaws.template import ALL_EC2_EVENTS

APP_DIR = Path(__file__).parents[2]


class Forwarders:
    """The regions that have a forwarder to the home region; None: every one."""

    def __init__(self, app_dir: Path, home_region: str, regions: Iterable[str] | None) -> None:
        self._home = home_region
        self._patterns = _patterns(app_dir / ".chalice" / "forwarder.json")
        self.put(regions)

    def put(self, regions: Iterable[str] | None) -> None:
        """From now on these regions have one. In the home region it makes nothing: its events are there already."""
        self._regions = None if regions is None else frozenset(regions) - {self._home}

    def among(self, regions: Collection[str]) -> list[str]:
        """Those of these regions that have one."""
        return [region for region in regions if region != self._home and self._is_forwarded(region)]

    def reaches_home(self, event: Mapping[str, Any]) -> bool:
        """Whether the home region's own rules get to see an event."""
        region = event["region"]
        if region == self._home:
            return True
        names = {"AWS::Region": region, "HomeRegion": self._home}
        return self._is_forwarded(region) and any(
            matches(_resolved(pattern, names), event) for pattern in self._patterns
        )

    def _is_forwarded(self, region: str) -> bool:
        return self._regions is None or region in self._regions


def _patterns(template: Path) -> list[Any]:
    if not template.exists():
        return [ALL_EC2_EVENTS]
    resources = json.loads(template.read_text(encoding="utf-8"))["Resources"].values()
    return [one["Properties"]["EventPattern"] for one in resources if one["Type"] == "AWS::Events::Rule"]


def _resolved(value: Any, names: Mapping[str, str]) -> Any:
    """A template's value with its `Ref`s filled in."""
    if isinstance(value, Mapping):
        if set(value) == {"Ref"}:
            return names[value["Ref"]]
        return {key: _resolved(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_resolved(one, names) for one in value]
    return value
