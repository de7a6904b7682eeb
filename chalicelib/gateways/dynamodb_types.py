"""What was last seen of what changes seldom, an item each: instance types that the table of families does not have,
capacity that is reserved and unused, the free tier."""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain.accelerators import TypeFact
from chalicelib.domain.free_tier import FreeTier
from chalicelib.domain.notices import Notice
from chalicelib.domain.reservations import ReservationLook
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_outbox import OutboxRecords
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Key, Write

TYPES: Key = ("TYPES", "KNOWN")
RESERVATIONS: Key = ("RESERVATIONS", "LOOK")
FREE_TIER: Key = ("FREE_TIER", "LOOK")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Types:
    facts: tuple[TypeFact, ...] = ()


class TypeRecords(OutboxRecords):
    """Of two writers the later one stands: what the other learned is asked for again."""

    def type_facts(self) -> tuple[TypeFact, ...]:
        """What is known of types."""
        item = self._table.get(TYPES)
        return codec.read(_Types, item).facts if item else ()

    def keep_type_facts(self, facts: Sequence[TypeFact]) -> None:
        """Keep this in place of all that was kept."""
        item = codec.document(_Types(facts=tuple(facts)))
        self._table.commit([Write(operation="Put", key=TYPES, item=item)], patience=HASTE_SECONDS)

    def free_tier(self) -> FreeTier | None:
        """What AWS last said of the free tier."""
        item = self._table.get(FREE_TIER)
        return codec.read(FreeTier, item) if item else None

    def keep_free_tier(self, told: FreeTier) -> None:
        """Keep this in place of the last answer."""
        item = codec.document(told)
        self._table.commit([Write(operation="Put", key=FREE_TIER, item=item)], patience=HASTE_SECONDS)

    def reservation_look(self) -> ReservationLook | None:
        """What the last look at capacity reservations has found."""
        item = self._table.get(RESERVATIONS)
        return codec.read(ReservationLook, item) if item else None

    def keep_reservation_look(self, look: ReservationLook, *, notices: Sequence[Notice] = ()) -> None:
        """Keep it, and tell people."""
        self._commit([Write(operation="Put", key=RESERVATIONS, item=codec.document(look))], notices)
