"""Budgets: one item with every definition, and one item a budget and period with what is used of it.

The definitions stand in a single item, so they and their revision are read and written as one. Every write that takes
money from a budget checks that revision in its transaction; therefore the limit it was judged by is the limit in force,
and a changed limit needs no change to any period. A period item appears with its first charge. A budget made anew has
period items of its own (its generation is in their key), so that open leases give back what an earlier one carried to
that one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.budget import Budget, BudgetBook, BudgetState
from chalicelib.domain.errors import BudgetExceeded, NotFound
from chalicelib.domain.money import ZERO
from chalicelib.domain.notices import Notice
from chalicelib.domain.periods import MOST_PERIODS, keys
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways import dynamodb_holds as holds
from chalicelib.gateways.dynamodb_codec import Item, Value
from chalicelib.gateways.dynamodb_outbox import OutboxRecords
from chalicelib.gateways.dynamodb_records import new_write_id
from chalicelib.gateways.dynamodb_table import Key, Write

CATALOGUE: Key = ("BUDGETS", "CATALOGUE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Every definition. `revision` moves with each change."""

    revision: int = 0
    budgets: tuple[Budget, ...] = ()

    def named(self, name: str) -> Budget | None:
        """The definition of a name."""
        return next((budget for budget in self.budgets if budget.name == name), None)


class BudgetRecords(OutboxRecords):
    """Definitions, and what is used of them."""

    def budgets(self, now: datetime, *, until: datetime | None = None) -> BudgetBook:
        """Every budget with what is left in the period of `now`, and in those up to `until`; read again while a
        definition changes in between."""
        catalogue = self._catalogue()
        while True:
            states = self._states(catalogue, now, until or now)
            latest = self._catalogue() if states else catalogue
            if latest.revision == catalogue.revision:
                present = tuple(one for one in states if one.period_key == one.budget.period_key(now))
                later = tuple(one for one in states if one not in present)
                return BudgetBook(revision=catalogue.revision, states=present, later=later)
            catalogue = latest

    def _states(self, catalogue: Catalogue, now: datetime, until: datetime) -> tuple[BudgetState, ...]:
        periods = [
            (budget, key)
            for budget in catalogue.budgets
            for key in keys(budget.period, now, until, at_most=MOST_PERIODS)
        ]
        items = self._table.get_many(_of(budget, key) for budget, key in periods)
        return tuple(_state(budget, key, items.get(_of(budget, key), {})) for budget, key in periods)

    def tell_thresholds(
        self, state: BudgetState, told: Sequence[Decimal], *, notices: Sequence[Notice]
    ) -> None:
        """Keep which thresholds people know to be passed, with what they are told. Raises Stale."""
        is_first = state.crossings == 0
        write = Write(
            operation="Update",
            key=_of(state.budget, state.period_key),
            update="SET told = :told, crossings = :next",
            condition="attribute_not_exists(crossings)" if is_first else "crossings = :crossings",
            values={
                ":told": " ".join(map(str, told)),
                ":next": state.crossings + 1,
                **({} if is_first else {":crossings": state.crossings}),
            },
            refusal=holds.budgets_moved(),
        )
        self._commit([write], notices)

    def put_billed(self, state: BudgetState, usd: Decimal, *, at: datetime) -> None:
        """Count what the bill has beyond the meter in a period, in place of what it had before. Raises Stale."""
        is_first = state.billed_at is None
        before: dict[str, Value] = {} if is_first else {":before": codec.stamp(state.billed_at or at)}
        write = Write(
            operation="Update",
            key=_of(state.budget, state.period_key),
            update="SET used_usd = if_not_exists(used_usd, :none) + :more, billed_usd = :billed, billed_at = :at",
            condition="attribute_not_exists(billed_at)" if is_first else "billed_at = :before",
            values={
                ":none": ZERO,
                ":more": holds.rounded(usd) - state.billed_usd,
                ":billed": holds.rounded(usd),
                ":at": codec.stamp(at),
                **before,
            },
            refusal=holds.budgets_moved(),
        )
        self._table.commit([write])

    def put_budget(
        self,
        budget: Budget,
        *,
        revision: int,
        used: Mapping[str, Decimal] | None = None,
        at_most: Mapping[str, Decimal] | None = None,
    ) -> None:
        """Create or change a budget; `used` is added to its periods, none of which may carry more than `at_most`.
        Raises Stale."""
        catalogue = self._catalogue()
        others = tuple(one for one in catalogue.budgets if one.name != budget.name)
        added = [
            Write(
                operation="Update",
                key=_of(budget, key),
                update="SET used_usd = if_not_exists(used_usd, :none) + :used",
                values={":none": ZERO, ":used": holds.rounded(amount)},
            )
            for key, amount in (used or {}).items()
        ]
        judged = [
            Write(
                operation="ConditionCheck",
                key=_of(budget, key),
                condition="attribute_not_exists(used_usd) OR used_usd <= :most",
                values={":most": most},
                refusal=holds.budgets_moved(),
            )
            for key, most in (at_most or {}).items()
        ]
        self._replace_catalogue(
            Catalogue(revision=revision, budgets=tuple(sorted((*others, budget), key=lambda one: one.name))),
            read=catalogue,
            writes=[*added, *judged],
        )

    def delete_budget(self, name: str, *, revision: int) -> None:
        """Remove a definition. Its periods stay, so that open leases can give back. Raises Stale, NotFound."""
        catalogue = self._catalogue()
        if catalogue.revision != revision:
            raise holds.budgets_moved()
        if catalogue.named(name) is None:
            raise NotFound(
                f"there is no budget {name!r}: nothing was changed, every limit and hold stays as it is. GET /budgets "
                "lists them"
            )
        others = tuple(one for one in catalogue.budgets if one.name != name)
        self._replace_catalogue(replace(catalogue, budgets=others), read=catalogue, writes=[])

    def _catalogue(self) -> Catalogue:
        item = self._table.get(CATALOGUE)
        return codec.read(Catalogue, item) if item else Catalogue()

    def _replace_catalogue(self, changed: Catalogue, *, read: Catalogue, writes: Sequence[Write]) -> None:
        if read.revision != changed.revision:
            raise holds.budgets_moved()
        write_id = new_write_id()
        after = replace(changed, revision=changed.revision + 1)
        put = Write(
            operation="Put",
            key=CATALOGUE,
            item={"revision": after.revision, "write_id": write_id, **codec.document(after)},
            condition=_is_at(changed.revision),
            values=_revision(changed.revision),
            refusal=holds.budgets_moved(),
        )
        self._table.commit([put, *writes], trace=(CATALOGUE, write_id))

    def _charges(
        self, moves: holds.Moves, *, revision: int, allow_overdraft: bool, is_new: bool
    ) -> list[Write]:
        """The writes that move budgets at a revision: amounts to take need room, amounts to give back are left out
        where a period does not carry them. Raises Stale."""
        catalogue = self._catalogue() if moves else Catalogue(revision=revision)
        if catalogue.revision != revision:
            raise holds.budgets_moved()
        writes = [
            Write(
                operation="ConditionCheck",
                key=CATALOGUE,
                condition=_is_at(revision),
                values=_revision(revision),
                refusal=holds.budgets_moved(),
            )
        ]
        for period, amount in moves.items():
            if amount < 0:
                writes.append(settle(period, amount))
            elif allow_overdraft:
                writes.append(_take(period, amount))
            else:
                writes.append(_take_within(catalogue.named(period.budget), period, amount, is_new=is_new))
        return writes


def period_key(period: holds.BudgetPeriod) -> Key:
    """Where one period of a budget stands."""
    generation = f"#{period.generation}" if period.generation else ""
    return f"BUDGET#{period.budget}{generation}", period.period_key


def _of(budget: Budget, key: str) -> Key:
    return period_key(holds.BudgetPeriod(budget.name, key, budget.generation))


def _state(budget: Budget, key: str, item: Item) -> BudgetState:
    return BudgetState(
        budget=budget,
        period_key=key,
        left_usd=budget.limit_usd - used_usd(item),
        told=tuple(map(Decimal, str(item.get("told", "")).split())),
        crossings=int(str(item.get("crossings", 0))),
        billed_usd=Decimal(str(item.get("billed_usd", ZERO))),
        billed_at=datetime.fromisoformat(str(item["billed_at"])) if "billed_at" in item else None,
    )


def used_usd(item: Item) -> Decimal:
    """What a period item carries; nothing where there is no item."""
    return Decimal(str(item.get("used_usd", ZERO)))


def settle(period: holds.BudgetPeriod, amount: Decimal) -> Write:
    """Move a period by what a lease that closes leaves there or gives back, down only as far as it carries that."""
    if amount >= 0:
        return _take(period, amount)
    return Write(
        operation="Update",
        key=period_key(period),
        update="SET used_usd = used_usd - :back",
        condition="used_usd >= :back",
        values={":back": -amount},
        group=f"{period.budget} {period.generation} {period.period_key}",
    )


def _take(period: holds.BudgetPeriod, amount: Decimal) -> Write:
    return Write(
        operation="Update",
        key=period_key(period),
        update="SET used_usd = if_not_exists(used_usd, :none) + :hold",
        values={":none": ZERO, ":hold": amount},
    )


def _take_within(
    budget: Budget | None, period: holds.BudgetPeriod, amount: Decimal, *, is_new: bool
) -> Write:
    if budget is None or not holds.can_take(budget, period):
        raise holds.budgets_moved()
    room = budget.limit_usd - amount

    def refusal(met: Item) -> BudgetExceeded:
        return holds.too_much(budget, period, used=used_usd(met), asked=amount, is_new=is_new)

    condition = "used_usd <= :room" if room < 0 else "attribute_not_exists(used_usd) OR used_usd <= :room"
    take = _take(period, amount)
    return replace(take, condition=condition, values={**take.values, ":room": room}, refusal=refusal)


def _is_at(revision: int) -> str:
    return "revision = :revision" if revision else "attribute_not_exists(pk)"


def _revision(revision: int) -> Mapping[str, int]:
    return {":revision": revision} if revision else {}
