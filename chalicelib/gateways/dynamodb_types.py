"""What EC2 said of instance types that the table of families does not have, all in one item."""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain.accelerators import TypeFact
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Key, Write

TYPES: Key = ("TYPES", "KNOWN")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Types:
    facts: tuple[TypeFact, ...] = ()


class TypeRecords(Records):
    """Of two writers the later one stands: what the other learned is asked for again."""

    def type_facts(self) -> tuple[TypeFact, ...]:
        """What is known of types."""
        item = self._table.get(TYPES)
        return codec.read(_Types, item).facts if item else ()

    def keep_type_facts(self, facts: Sequence[TypeFact]) -> None:
        """Keep this in place of all that was kept."""
        item = codec.document(_Types(facts=tuple(facts)))
        self._table.commit([Write(operation="Put", key=TYPES, item=item)], patience=HASTE_SECONDS)
