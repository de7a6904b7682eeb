"""What ending idle boxes would have cost and saved on a trace of real GPU use, for restart costs from 10 to 60 minutes.

    make evaluate TRACE=file.csv[.gz]        (`pod,minute,percent`, one sample a row)

Each pod is a box, judged by Curfew's own evidence and idle rule as sweeps would, each minute that matters. For each
restart cost R `idle.after` is R, `warn_before` and `after_launch` are 0. Exit 1: a ratio is above its bound, or
something was ended on missing data; 2: the file can't be read. What the figures mean stands in docs/idle.md.
"""

import csv
import gzip
import io
import math
import os
import sys
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from chalicelib.domain import due  # noqa: E402
from chalicelib.domain.case import Case, Effect  # noqa: E402
from chalicelib.domain.evidence import SHORTEST_WINDOW, Series, of_box  # noqa: E402
from chalicelib.domain.instance import Instance  # noqa: E402
from chalicelib.domain.lease import Hold, Lease, Origin, RequestType, Status  # noqa: E402
from chalicelib.domain.meter import Cost  # noqa: E402
from chalicelib.domain.policy import IdlePolicy, Policy  # noqa: E402
from chalicelib.domain.rules.idle import idle as idle_rule  # noqa: E402

RESTARTS = (10, 15, 20, 30, 45, 60)
BOUNDS = {10: 1.45, 30: 1.30, 60: 1.15}
HOLE = 3
"""A gap in which more samples than this are missing in a row is counted apart: nobody knows whether it was idle."""
GZIP = b"\x1f\x8b"
HEADER = ["pod", "minute", "percent"]
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LAST_MINUTE = 10_000_000
SLOWEST = 5
KNOWN_DATA = Path("gpu-duty", "gpu_duty_1min.csv.gz")

Sample = tuple[int, float]


class BadTrace(Exception):
    """What is wrong with the file, where, and how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The minutes from the end of one sample of work up to the next; `until` None: no work came any more."""

    since: int
    until: int | None
    has_hole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One gap, when it was ended (None: not at all), and whether that rested on missing data."""

    gap: Gap
    killed_at: int | None = None
    on_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One restart cost's line of the table; minutes. `apart`: kills in gaps with a hole; `last`: kills after which no
    work came any more. Both are in no other figure but `ended_on_missing`."""

    restart: int
    gaps: int
    kills: int
    wrong: int
    idle: int
    saved: int
    paid: int
    best: int
    apart: int
    last: int
    ended_on_missing: int

    @property
    def ratio(self) -> float:
        """Paid over what the best would have paid who knows the future."""
        return self.paid / self.best if self.best else 1.0


def read_trace(path: Path) -> dict[str, list[Sample]]:
    """Each pod's samples in order of time. Raises BadTrace."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == GZIP else raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadTrace(f"{path} is no complete gzip file ({error}): compress it again") from error
    except OSError as error:
        raise BadTrace(
            f"{path} can't be read ({error.strerror}): name a file with TRACE=file.csv[.gz]"
        ) from error
    pods: dict[str, list[Sample]] = defaultdict(list)
    for pod, sample in _rows(_text(path, raw)):
        pods[pod].append(sample)
    if not pods:
        raise BadTrace(f"{path} has no samples: write one row a sample under the header pod,minute,percent")
    return {pod: sorted(samples) for pod, samples in pods.items()}


def _text(path: Path, raw: bytes) -> str:
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} or raw[1:2] == b"\0":
        raise BadTrace(f"{path} line 1: it is UTF-16: iconv -f UTF-16 -t UTF-8 makes it UTF-8")
    if b"\0" in raw[:200]:
        raise BadTrace(f"{path} line 1: it is no text: unpack it to CSV; gzip alone is read packed")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadTrace(f"{path} line {line}: it is not UTF-8: save it as UTF-8") from error


def _rows(text: str) -> Iterator[tuple[str, Sample]]:
    lines = csv.reader(io.StringIO(text, newline=None))
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        if header != HEADER:
            raise BadTrace(f"line 1: the header is {','.join(header)!r}: it has to be pod,minute,percent")
        for row in lines:
            if row:
                yield _row(row, lines.line_num)
    except csv.Error as error:
        raise BadTrace(f"line {lines.line_num}: {error}: write plain CSV") from error


def _row(row: Sequence[str], line: int) -> tuple[str, Sample]:
    if len(row) != len(HEADER):
        raise BadTrace(f"line {line}: {len(row)} columns: there have to be three, pod,minute,percent")
    pod, minute, percent = (cell.strip() for cell in row)
    if not pod:
        raise BadTrace(f"line {line}: no pod: each sample has to name its pod")
    at, use = _number(minute), _number(percent)
    if at is None or at != int(at) or not 0 <= at <= LAST_MINUTE:
        raise BadTrace(
            f"line {line}: minute is {minute!r}: it has to be a whole number from 0 to {LAST_MINUTE}"
        )
    if use is None or not 0 <= use <= 100:  # noqa: PLR2004 (percent)
        why = "it has to be a number from 0 to 100; leave the row out where there is no sample"
        raise BadTrace(f"line {line}: percent is {percent!r}: {why}")
    return pod, (int(at), use)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def evaluate(pods: Mapping[str, Sequence[Sample]], restart: int, *, lazily: bool = True) -> Row:
    """All pods at one restart cost. `lazily`: look when due; else each minute, for the same result."""
    outcomes = [one for samples in pods.values() for one in outcomes_of(samples, restart, lazily=lazily)]
    counted = [one for one in outcomes if one.gap.until is not None and not one.gap.has_hole]
    kills = [one for one in counted if one.killed_at is not None]
    return Row(
        restart=restart,
        gaps=len(counted),
        kills=len(kills),
        wrong=sum(1 for one in kills if _saved(one) < restart),
        idle=sum(_length(one.gap) for one in counted),
        saved=sum(map(_saved, kills)),
        paid=sum(_length(one.gap) - _saved(one) for one in counted) + restart * len(kills),
        best=sum(min(_length(one.gap), restart) for one in counted),
        apart=sum(1 for one in outcomes if one.killed_at is not None and one.gap.until and one.gap.has_hole),
        last=sum(1 for one in outcomes if one.killed_at is not None and one.gap.until is None),
        ended_on_missing=sum(1 for one in outcomes if one.on_missing),
    )


def _length(gap: Gap) -> int:
    return gap.until - gap.since if gap.until is not None else 0


def _saved(one: Outcome) -> int:
    if one.killed_at is None or one.gap.until is None:
        return 0
    return max(0, one.gap.until - one.killed_at)


def outcomes_of(samples: Sequence[Sample], restart: int, *, lazily: bool = True) -> Iterator[Outcome]:
    """What becomes of each gap of one pod, in order of time."""
    box = _Box(samples, restart)
    now, end = box.begins, samples[-1][0] + box.interval
    for gap in box.gaps():
        limit = end if gap.until is None else gap.until + box.interval - 1
        now, killed_at = max(now, gap.since), None
        while now <= limit and killed_at is None:
            ends, due_at = box.judge(now)
            killed_at = now if ends else None
            now = max(now + 1, due_at if lazily else 0)
        on_missing = killed_at is not None and box.lacks(killed_at)
        yield Outcome(gap=gap, killed_at=killed_at, on_missing=on_missing)


class _Box:
    """One pod as a box under Curfew's own policy and rule."""

    def __init__(self, samples: Sequence[Sample], restart: int) -> None:
        self._minutes = [minute for minute, _ in samples]
        self._samples = [(START + minute * MINUTE, percent) for minute, percent in samples]
        gaps = [later - earlier for earlier, later in pairwise(sorted(set(self._minutes)))]
        self.interval = min(max(int(median(gaps)) if gaps else 1, 1), SLOWEST)
        self.begins = self._minutes[0]
        self._window = max(restart * MINUTE, SHORTEST_WINDOW)
        idle = IdlePolicy(after=restart * MINUTE, warn_before=timedelta(0), after_launch=timedelta(0))
        launched_at = START + self.begins * MINUTE
        self._idle = idle
        self._case = Case(
            now=launched_at,
            policy=Policy(idle=idle),
            lease=_lease(launched_at),
            instances=(
                Instance(id="i-0", region="us-east-1", type="any", state="running", launched_at=launched_at),
            ),
            evidence=of_box((), idle=idle, running_since=launched_at, now=launched_at),
            cost=Cost(),
        )

    def gaps(self) -> Iterator[Gap]:
        """Between any two samples of work that do not follow one another at once, and after the last."""
        worked = [
            minute
            for minute, (_, percent) in zip(self._minutes, self._samples, strict=True)
            if percent >= self._idle.gpu_below_percent
        ]
        for earlier, later in pairwise(worked):
            if later - earlier > self.interval:
                yield Gap(since=earlier + self.interval, until=later, has_hole=self._has_hole(earlier, later))
        if worked and worked[-1] < self._minutes[-1]:
            yield Gap(since=worked[-1] + self.interval, until=None, has_hole=False)

    def judge(self, now: int) -> tuple[bool, int]:
        """Whether a sweep at that minute ends it, and the minute at which it is to be looked at again."""
        at = START + now * MINUTE
        first = bisect_left(self._minutes, now - (self._window + due.LATE_SAMPLES) // MINUTE)
        shown = bisect_left(self._minutes, now - self.interval + 1)
        series = (Series(source="GPU", samples=tuple(self._samples[first:shown])),) if shown > first else ()
        since = START + self.begins * MINUTE
        evidence = of_box(series, idle=self._idle, running_since=since, now=at)
        finding = idle_rule(replace(self._case, now=at, evidence=evidence))
        due_at = due.silent_at(series, idle=self._idle, running_since=since, now=at)
        return finding is not None and finding.effect is Effect.END, -((START - due_at) // MINUTE)

    def lacks(self, now: int) -> bool:
        """Whether too many samples of the window were missing at that minute, or all of the last three intervals:
        counted anew on the trace itself, by the typical step of the samples there."""
        start = max(now - self._window // MINUTE, self.begins)
        first, last = (
            bisect_left(self._minutes, start - SLOWEST + 1),
            bisect_left(self._minutes, now - self.interval + 1),
        )
        shown = sorted(set(self._minutes[first:last]))
        step = min(max(median([b - a for a, b in pairwise(shown)] or [1]), 1), SLOWEST)
        inside = [minute for minute in shown if minute + step > start]
        is_old = not inside or now - inside[-1] > 3 * step
        return is_old or len(inside) < float(self._idle.coverage) * max(1, (now - start) // step)

    def _has_hole(self, earlier: int, later: int) -> bool:
        inside = self._minutes[bisect_left(self._minutes, earlier) : bisect_left(self._minutes, later) + 1]
        return any((after - before) / self.interval - 1 > HOLE for before, after in pairwise(inside))


def _lease(launched_at: datetime) -> Lease:
    return Lease(
        id="trace",
        owner="trace",
        region="us-east-1",
        origin=Origin.LAUNCHED,
        request_type=RequestType.ONE_TIME,
        status=Status.ACTIVE,
        requested_at=launched_at,
        launched_at=launched_at,
        expires_at=launched_at + LAST_MINUTE * MINUTE,
        hold=Hold(compute_usd=Decimal(1)),
        instance_ids=("i-0",),
    )


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The figures, a line a restart cost, and the one that machines read."""
    yield "restart cost   gaps  kills  wrong  idle min  saved min  paid min  best min  ratio  apart  last"
    for row in rows:
        yield (
            f"{row.restart:>8} min {row.gaps:>6} {row.kills:>6} {row.wrong:>6} {row.idle:>9} {row.saved:>10} "
            f"{row.paid:>9} {row.best:>9} {row.ratio:>6.3f} {row.apart:>6} {row.last:>5}"
        )
    ratios = " ".join(f"R{row.restart}={row.ratio:.3f}" for row in rows if row.restart in BOUNDS)
    yield f"ratio {ratios} ended_on_missing={sum(row.ended_on_missing for row in rows)}"


def holds(rows: Sequence[Row]) -> bool:
    """Whether every bound is kept and nothing was ended on missing data."""
    return all(row.ratio <= BOUNDS.get(row.restart, math.inf) and not row.ended_on_missing for row in rows)


def main(arguments: Sequence[str]) -> int:
    """Print the table of a trace."""
    named = next((one for one in arguments if one), None)
    data = ROOT / os.environ.get("CURFEW_DATA_DIR", "../shared/data")
    path = Path(named) if named else data / KNOWN_DATA
    if not named and not path.exists():
        return _refused(
            f"no trace: TRACE=file.csv[.gz] names one, or CURFEW_DATA_DIR a directory with {KNOWN_DATA}"
        )
    try:
        pods = read_trace(path)
    except BadTrace as error:
        told = str(error)
        return _refused(f"{path} {told}" if told.startswith("line") else told)
    rows = [evaluate(pods, restart) for restart in RESTARTS]
    sys.stdout.write("\n".join(table(rows)) + "\n")
    return 0 if holds(rows) else 1


def _refused(why: str) -> int:
    sys.stderr.write(f"evaluate: {why}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
