"""Ask EC2, once for each, whether the instance types that the table of families does not have are accelerated.

Asked after the kills and under a deadline; until it has answered a type is known by its letters.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait

from chalicelib.domain.accelerators import TypeFact, to_ask
from chalicelib.domain.errors import Unavailable
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

PATIENCE_SECONDS = 3.0
REGIONS_AT_ONCE = 16


def learn_types(services: Services, facts: Facts) -> tuple[str, ...]:
    """Ask about what is new and keep it for the next look. Answers what is lacking."""
    wanted = to_ask(facts.sight.instances, facts.types, facts.now)
    if not wanted:
        return ()
    told, lacking = _ask(services, wanted)
    if told:
        new = [TypeFact(name=name, is_accelerated=told[name], asked_at=facts.now) for name in sorted(told)]
        kept = [fact for fact in facts.types if fact.name not in told]
        try:
            services.store.keep_type_facts([*kept, *new])
        except Unavailable as error:
            lacking.append(f"instance types: {error.detail}")
    return tuple(lacking)


def _ask(
    services: Services, wanted: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, bool | None], list[str]]:
    """Every region at once; what has not answered in time is asked by the next sweep."""
    told: dict[str, bool | None] = {}
    lacking: list[str] = []
    pool = ThreadPoolExecutor(min(len(wanted), REGIONS_AT_ONCE), thread_name_prefix="types")
    try:
        asked = {
            region: pool.submit(services.compute.accelerated, region, names)
            for region, names in wanted.items()
        }
        wait(asked.values(), timeout=PATIENCE_SECONDS)
        for region, answer in asked.items():
            if not answer.done():
                lacking.append(f"DescribeInstanceTypes {region}: no answer within {PATIENCE_SECONDS:g} s")
                continue
            try:
                told |= answer.result()
            except Unavailable as error:
                lacking.append(f"DescribeInstanceTypes {region}: {error.detail}")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return told, lacking
