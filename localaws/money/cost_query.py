"""Cost Explorer's questions: what an expression lets through, and how what is left is grouped. Pure.

Sources: botocore, Expression, DimensionValues, TagValues, GroupDefinition and MetricValue; AWS's answers to wrong
questions as public threads quote them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.money.daily import Entry

TEN_PLACES = Decimal("1e-10")
DIMENSIONS: dict[str, Callable[[Entry], str]] = {
    "AZ": lambda entry: entry.line.zone or "NoAZ",
    "INSTANCE_TYPE": lambda entry: entry.line.instance_type or "NoInstanceType",
    "INSTANCE_TYPE_FAMILY": lambda entry: (
        entry.line.instance_type.partition(".")[0] or "NoInstanceTypeFamily"
    ),
    "LINKED_ACCOUNT": lambda _: ACCOUNT,
    "OPERATION": lambda entry: entry.line.operation or "NoOperation",
    "RECORD_TYPE": lambda entry: entry.line.record_type,
    "REGION": lambda entry: entry.line.region,
    "SERVICE": lambda entry: entry.line.service,
    "USAGE_TYPE": lambda entry: entry.line.usage_type,
}
COSTS = ("AmortizedCost", "BlendedCost", "NetAmortizedCost", "NetUnblendedCost", "UnblendedCost")
"""All the same here: the account has no plans, reservations or discounts."""
QUANTITY = "UsageQuantity"
METRICS = {name.upper(): name for name in (*COSTS, QUANTITY)} | {
    "AMORTIZED_COST": "AmortizedCost",
    "BLENDED_COST": "BlendedCost",
    "NET_AMORTIZED_COST": "NetAmortizedCost",
    "NET_UNBLENDED_COST": "NetUnblendedCost",
    "UNBLENDED_COST": "UnblendedCost",
    "USAGE_QUANTITY": QUANTITY,
}
Tags = Callable[[Entry], Mapping[str, str]]
"""The tags of an entry that are activated for cost allocation."""


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def passes(entry: Entry, expression: Mapping[str, Any] | None, tags: Tags) -> bool:
    """Whether an entry is within a filter; none lets everything through."""
    if not expression:
        return True
    if len(expression) != 1:
        raise invalid("Expression filter must have one and only one root level operator")
    ((operator, operand),) = expression.items()
    match operator:
        case "And":
            return all(passes(entry, one, tags) for one in _operands(operand))
        case "Or":
            return any(passes(entry, one, tags) for one in _operands(operand))
        case "Not":
            return not passes(entry, operand, tags)
        case "Dimensions":
            return dimension(operand.get("Key", ""))(entry) in operand.get("Values", [])
        case "Tags":
            return _has_tag(tags(entry), operand)
        case _:
            raise invalid(f"{operator} is not simulated in a filter")


def _operands(operands: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if len(operands) < 2:
        raise invalid("And and Or take at least two expressions")
    return operands


def _has_tag(tags: Mapping[str, str], wanted: Mapping[str, Any]) -> bool:
    values = wanted.get("Values")
    if not values or "ABSENT" in wanted.get("MatchOptions", []):
        return wanted["Key"] not in tags if wanted.get("Key") else not tags
    return tags.get(wanted.get("Key", ""), "") in values


def dimension(key: str) -> Callable[[Entry], str]:
    if key not in DIMENSIONS:
        raise invalid(f"{key} is not valid: the dimensions simulated are {', '.join(DIMENSIONS)}")
    return DIMENSIONS[key]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The keys of an entry, by up to two definitions."""

    definitions: tuple[Mapping[str, str], ...]
    tags: Tags

    def __post_init__(self) -> None:
        if len(self.definitions) > 2:
            raise invalid("GroupBy takes two definitions at most")
        for one in self.definitions:
            if one.get("Type") == "DIMENSION":
                dimension(one.get("Key", ""))
            elif one.get("Type") != "TAG":
                raise invalid(f"a group definition of type {one.get('Type')} is not simulated")

    def keys(self, entry: Entry) -> tuple[str, ...]:
        return tuple(self._key(one, entry) for one in self.definitions)

    def _key(self, definition: Mapping[str, str], entry: Entry) -> str:
        name = definition["Key"]
        if definition["Type"] == "TAG":
            return f"{name}${self.tags(entry).get(name, '')}"
        return dimension(name)(entry)


def grouped(
    entries: Iterable[Entry], grouping: Grouping, metrics: list[str]
) -> dict[tuple[str, ...], dict[str, dict[str, str]]]:
    """The metrics of each group, in the order of their keys."""
    members: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        members[grouping.keys(entry)].append(entry)
    return {keys: totals(members[keys], metrics) for keys in sorted(members)}


def totals(entries: list[Entry], metrics: list[str]) -> dict[str, dict[str, str]]:
    """The sums of some entries, as MetricValue: amounts are strings."""
    units = {entry.line.unit for entry in entries}
    found = {}
    for name in metrics:
        if name == QUANTITY:
            quantity = sum((entry.units for entry in entries), Decimal(0))
            found[name] = {"Amount": amount(quantity), "Unit": units.pop() if len(units) == 1 else "N/A"}
        else:
            found[name] = {"Amount": amount(sum((entry.usd for entry in entries), Decimal(0))), "Unit": "USD"}
    return found


def metric_names(asked: list[str]) -> list[str]:
    if not asked:
        raise invalid("Metrics must not be empty")
    unknown = [name for name in asked if name.upper() not in METRICS]
    if unknown:
        raise invalid(f"{unknown[0]} is not a metric that is simulated: {', '.join((*COSTS, QUANTITY))}")
    return [METRICS[name.upper()] for name in asked]


def amount(value: Decimal) -> str:
    """A sum as Cost Explorer writes it: at most ten decimals, no trailing zeros."""
    rounded = value.quantize(TEN_PLACES, rounding=ROUND_HALF_EVEN).normalize()
    return f"{rounded:f}" if rounded else "0"
