"""What Cost Explorer answers from: the account's bill, late, with its credits and the tags that are activated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from localaws.errors import AwsError
from localaws.money.account_bill import charges
from localaws.money.daily import DAY, Entry, entries, midnight, with_credits
from localaws.money.late_bill import LEAST_LATE, LateBill
from localaws.onmoto import backend

if TYPE_CHECKING:
    from localaws.world import World

FIRST_DATA_AFTER = timedelta(hours=24)


class CostExplorer:
    """One look at the bill as Cost Explorer has it at this moment, if it is switched on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._account = world.account
        self._check_enabled()
        self.bill = LateBill(world.seed, world.now)

    def entries(self, since: datetime, step: timedelta = DAY) -> list[Entry]:
        """What is known by now of the time since a moment, day by day, credits beside what they pay."""
        granted = self._account.credits
        months = [
            credit.at.replace(day=1) for credit in granted
        ]  # what a credit has left depends on all since then
        first = midnight(min([since, *months]).date())
        known = self.bill.as_known(entries(charges(self._world), first, self.bill.known_until, step))
        return with_credits(known, granted, self.bill.refreshed_at - LEAST_LATE)

    def tags(self, entry: Entry) -> Mapping[str, str]:
        """The tags of what was billed, as far as they were activated by then: others are unknown to Cost Explorer."""
        active = {key for key, since in self._account.cost_tags.items() if since < entry.at + DAY}
        if not active or not entry.line.resource_id:
            return {}
        tags = backend.ec2_backend(entry.line.region).tags.get(entry.line.resource_id, {})
        return {key: value for key, value in tags.items() if key in active}

    def first_day(self) -> datetime:
        """Since when there can be data."""
        return self._account.opened_at

    def _check_enabled(self) -> None:
        since = self._account.cost_explorer_since
        if since is None:
            raise AwsError("AccessDeniedException", "User not enabled for cost explorer access")
        if self._world.now - since < FIRST_DATA_AFTER:
            raise AwsError(
                "DataUnavailableException",
                "Data is not available. Please try to adjust the time period. If just enabled Cost Explorer, data "
                "might not be ingested yet",
            )
