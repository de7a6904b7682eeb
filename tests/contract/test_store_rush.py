"""Many launches at once: a budget admits exactly what it holds, whatever happens to the calls."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from chalicelib.domain.errors import BudgetExceeded
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.ports import Store
from tests.contract.store_examples import (
    MINUTE,
    NOW,
    budget,
    charge,
    closing,
    lease,
    left,
    notice,
    sweep,
    with_budget,
)
from tests.doubles.faulty_client import Accident, FaultyClient, conflict, lost, nothing, refused

LAUNCHES = 200
ROOM = 50
THREADS = 16


def rush(store: Store, launches: int = LAUNCHES) -> Counter[str]:
    """Launch side by side, a dollar each, into a budget that holds `ROOM` of them."""
    at = with_budget(store, budget(limit=str(ROOM)))

    def launch(number: int) -> str:
        try:
            store.open_lease(lease(f"lease-{number}", charge("1")), revision=at)
        except BudgetExceeded:
            return "no room"
        return "admitted"

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(launch, range(launches)))


def accidents(chance: random.Random, met: Counter[str]) -> tuple[Accident, Accident]:
    """30 % of the transactions meet a conflict, 10 % of all answers are lost; `met` counts both."""

    def before(method: str) -> Exception | None:
        if method == "transact_write_items" and chance.random() < 0.3:
            met["conflict"] += 1
            return conflict()
        return None

    def after(method: str) -> Exception | None:
        if chance.random() < 0.1:
            met["lost"] += 1
            return lost() if chance.random() < 0.5 else refused("InternalServerError", status=500)
        return None

    return before, after


def test_a_rush_admits_exactly_what_the_budget_holds(store: Store) -> None:
    """200 launches into a budget for 50: 50 run, 150 are told that there is no room."""
    assert rush(store) == {"admitted": ROOM, "no room": LAUNCHES - ROOM}
    assert len(store.open_leases()) == ROOM
    assert left(store) == 0


def test_a_rush_through_conflicts_and_lost_answers(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """The same when 30 % of the transactions meet a conflict and 10 % of all answers are lost."""
    met = Counter[str]()
    client.before, client.after = accidents(random.Random(11), met)

    outcome = rush(dynamo_store)

    client.before = client.after = nothing
    assert outcome == {"admitted": ROOM, "no room": LAUNCHES - ROOM}
    assert len(dynamo_store.open_leases()) == ROOM
    assert left(dynamo_store) == 0
    assert met["conflict"] > ROOM
    assert met["lost"] > ROOM // 2


def test_money_comes_and_goes_without_loss(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """Leases opened, extended and closed side by side through the same accidents: what is left is exact in the end."""
    at = with_budget(dynamo_store, budget(limit="1000"))
    client.before, client.after = accidents(random.Random(7), Counter())

    def live(number: int) -> None:
        opened = dynamo_store.open_lease(lease(f"lease-{number}", charge("10")), revision=at)
        more = dynamo_store.rehold(
            lease(f"lease-{number}", charge("12.5"), version=opened.version),
            before=opened.charges,
            revision=at,
        )
        dynamo_store.close_lease(closing(more, "0.1"), receipt=None)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(live, range(20)))

    client.before = client.after = nothing
    assert dynamo_store.open_leases() == ()
    assert left(dynamo_store) == 998


def test_of_many_writers_of_a_version_one_wins(store: Store) -> None:
    """Side by side, with the same content: exactly one may act on it."""
    opened = store.open_lease(lease(), revision=0)
    start = threading.Barrier(THREADS)

    def write(_: int) -> bool:
        start.wait()
        try:
            store.save_lease(opened)
        except Exception:  # noqa: BLE001 (whatever it is, this writer lost)
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(write, range(THREADS))) == 1


def test_of_many_senders_one_has_the_oldest_and_none_overtakes_it(store: Store) -> None:
    """So nothing is told twice, and nothing out of turn."""
    store.record_sweep(sweep(), notices=[notice(f"n{i:02}") for i in range(20)])
    with ThreadPoolExecutor(THREADS) as pool:
        taken = pool.map(lambda _: store.claim_notices(now=NOW, hold_for=MINUTE, limit=5), range(THREADS))
    ids = [one.id for batch in taken for one in batch]
    assert ids == [f"n{i:02}" for i in range(5)]
