"""Begin a call under an Idempotency-Key, remember its answer, or leave the key free again.

The table says whose turn it is, so that of two at once exactly one proceeds. Where it does not answer nothing is begun.
What a lost process leaves is made anew once its time is over: what stands under it has to bear that (a launch does, by
its lease; an import of a key pair is told that the pair is there).
"""

import json
from contextlib import suppress
from dataclasses import replace

from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.once import MOST_BYTES, KeptAnswer, KeyedCall, answer_again
from chalicelib.ports import Services


def begin(services: Services, asked: KeyedCall) -> KeptAnswer | None:
    """None where the call is to be made, by whoever asks; else what it was answered before.

    Raises Refused (`idempotency-key-reused`, `secret-shown-once`), InFlight; Unavailable, and nothing is begun.
    """
    standing = services.store.begin_call(asked)
    if standing.holder == asked.holder:
        return None
    known = answer_again(asked, standing)
    if known.withheld:
        secret = ", ".join(known.withheld)
        raise Refused(
            f"the call with this Idempotency-Key is done, and its {secret} was in the first answer alone: it is kept "
            "nowhere. `answer` has the rest. If the first was lost, remove what was made and ask again with a new key",
            slug="secret-shown-once",
            withheld=list(known.withheld),
            answer=json.loads(known.body),
        )
    return known


def keep(services: Services, asked: KeyedCall, answer: KeptAnswer) -> None:
    """Remember the answer for a day; where that fails a repeat finds the call in flight, and then makes it anew."""
    if len(answer.body.encode()) > MOST_BYTES:
        forget(services, asked)
        return
    with suppress(Unavailable):
        services.store.keep_call(replace(asked, answer=answer))


def forget(services: Services, asked: KeyedCall) -> None:
    """Leave the key free: nothing was done under it, or what was done answers for itself."""
    with suppress(Unavailable):
        services.store.forget_call(asked)
