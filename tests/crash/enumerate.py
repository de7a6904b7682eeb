"""Enumerate: count the calls of a scenario, then run it anew for each accident at each of them.

A process changes the world by its calls alone, so that dying before a call that only reads is dying after the last one
that wrote: of those one stands for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from zlib import crc32

from chalicelib.domain.errors import CurfewError
from localaws.mortality import LambdaDied
from tests.crash import truth
from tests.crash.account import Account
from tests.crash.copies import CopyFailed, in_a_copy
from tests.crash.recorder import Accident, Called
from tests.crash.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong after an accident."""

    accident: Accident | None
    call: str
    asks_again: bool
    text: str

    @property
    def how(self) -> str:
        """The accident in words."""
        if self.accident is None:
            return "undisturbed"
        again = " and asked again" if self.asks_again else ""
        return f"{self.accident.mode} at {self.accident.at} {self.call}{again}"


@dataclass(frozen=True, slots=True)
class Story:
    """One life of a scenario: the calls of the process that was hit, and what is wrong at the end."""

    calls: tuple[Called, ...]
    tries: int
    wrong: tuple[str, ...]


Chooses = Callable[[Accident, str], bool]


@dataclass(frozen=True, slots=True)
class Result:
    """All accidents of a scenario."""

    calls: tuple[Called, ...]
    accidents: int
    findings: tuple[Finding, ...]

    @property
    def lines(self) -> list[str]:
        """What is wrong, each with all accidents after which it is."""
        texts = dict.fromkeys(one.text for one in self.findings)
        return [
            f"{text} <- {'; '.join(one.how for one in self.findings if one.text == text)}" for text in texts
        ]


def enumerated(account: Account, scenario: Scenario, chooses: Chooses = lambda *_: True) -> Result:
    """Run it for each accident that is chosen."""
    return in_a_copy(lambda: _all_of(account, scenario, chooses), patience=None)


def _all_of(account: Account, scenario: Scenario, chooses: Chooses) -> Result:
    account.start_over()
    scenario.before(account)
    calm = in_a_copy(lambda: told(account, scenario, None))
    findings = [Finding(None, "", False, text) for text in calm.wrong]
    count = 0
    for accident in accidents(calm.calls):
        call = str(calm.calls[accident.at - 1]) if accident.at else "before any"
        if not chooses(accident, call):
            continue
        for asks_again in _ways(accident):
            story = _run(account, scenario, accident, asks_again=asks_again)
            count += 1
            findings += [Finding(accident, call, asks_again, text) for text in story.wrong]
    return Result(calm.calls, count, tuple(findings))


def share(name: str, *, one_of: int) -> Chooses:
    """Every so-many-th accident of a scenario, always the same ones."""
    return lambda accident, _: crc32(f"{name} {accident.mode} {accident.at}".encode()) % one_of == 0


def _ways(accident: Accident) -> tuple[bool, ...]:
    """Whether the caller asks again at once: both where its process died."""
    return (False, True) if accident.mode == "dies" else (accident.at % 2 == 0,)


def _run(account: Account, scenario: Scenario, accident: Accident, *, asks_again: bool) -> Story:
    try:
        return in_a_copy(lambda: told(account, scenario, accident, asks_again=asks_again))
    except CopyFailed as failure:
        return Story((), 0, (str(failure),))


def accidents(calls: Sequence[Called]) -> Iterator[Accident]:
    """Every one that may leave something else behind."""
    yield Accident("dies", 0)
    for number, called in enumerate(calls, 1):
        if called.writes:
            yield Accident("dies", number)
            yield Accident("retried", number)
        yield Accident("unanswered", number)
        yield Accident("interleaved", number)


def told(
    account: Account, scenario: Scenario, accident: Accident | None, *, asks_again: bool = False
) -> Story:
    """One life, to its end. The world is not the same afterwards."""
    recorder = account.hit.recorder
    recorder.begin(accident, lambda: _done(lambda: scenario.meanwhile(account, account.next)))
    _done(lambda: scenario.act(account, account.hit))
    calls = tuple(recorder.end())
    wrong = [f"at once: {text}" for text in scenario.at_once(account)]
    if asks_again:
        _done(lambda: scenario.act(account, account.next))
    if not account.settle():
        wrong.append("a later sweep does not finish")
    if scenario.is_launch:
        _done(lambda: scenario.act(account, account.next))
        account.minute()  # the first launch that is not hit, if it died before any call: a sweep removes its timer
    for about in (truth.what_runs_is_leased, truth.books, truth.timers_agree, scenario.then):
        wrong += about(account)
    wrong += truth.no_more_than(account, scenario.most)
    account.end_all()
    if not account.settle():
        wrong.append("the end does not finish")
    for about in (truth.nothing_is_left, truth.books, truth.each_end_has_one_receipt):
        wrong += [f"after the end: {text}" for text in about(account)]
    wrong += truth.no_more_than(account, scenario.most)
    return Story(calls, recorder.tries, tuple(dict.fromkeys(wrong)))


def _done(work: Callable[[], object]) -> None:
    """What a caller sees: an answer, an error, or nothing."""
    with suppress(CurfewError, LambdaDied):
        work()
