"""make evaluate: what ending idle boxes costs and saves on a trace, by the evidence and the rule that sweeps use."""

import gzip
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
DATA = ROOT / os.environ.get("CURFEW_DATA_DIR", "../shared/data")
REAL = DATA / "gpu-duty" / "gpu_duty_1min.csv.gz"


def load() -> ModuleType:
    """tools/evaluate.py, which is no package."""
    spec = importlib.util.spec_from_file_location("evaluate", ROOT / "tools" / "evaluate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["evaluate"] = module
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


tool: Any = load()


def trace(*stretches: tuple[float | None, int], every: int = 1) -> list[tuple[int, float]]:
    """Samples of so many minutes at so many percent, one after the other; None: a hole."""
    found, minute = [], 0
    for percent, length in stretches:
        if percent is not None:
            found += [(minute + n, float(percent)) for n in range(0, length, every)]
        minute += length
    return found


def figures(restart: int, *samples: list[tuple[int, float]]) -> Any:
    return tool.evaluate({f"p{number}": one for number, one in enumerate(samples)}, restart)


LULL = trace((80, 5), (0, 30), (80, 5))


@pytest.mark.parametrize(
    "restart, told",
    [(10, (1, 0, 20, 20, 10)), (20, (1, 1, 10, 40, 20)), (30, (1, 1, 0, 60, 30)), (60, (0, 0, 0, 30, 30))],
)
def test_one_lull_of_half_an_hour(restart: int, told: tuple[int, ...]) -> None:
    """Ended after R minutes it costs those and R more; whoever knows the future pays the smaller of lull and R."""
    row = figures(restart, LULL)
    assert (row.gaps, row.idle) == (1, 30)
    assert (row.kills, row.wrong, row.saved, row.paid, row.best) == told
    assert row.ratio == row.paid / row.best


def test_the_figures_of_pods_add_up() -> None:
    """A lull of 30 and one of 5 minutes at R = 10: paid 20 + 5, best 10 + 5."""
    row = figures(10, LULL, trace((80, 5), (0, 5), (80, 5)))
    assert (row.gaps, row.paid, row.best, row.ratio) == (2, 25, 15, 25 / 15)


def test_a_hole_of_more_than_three_samples_is_counted_apart() -> None:
    """Three missing samples are in the ratio, four are not, whatever happens in them."""
    assert figures(60, trace((80, 5), (0, 10), (None, 3), (0, 10), (80, 5))).gaps == 1
    apart = figures(10, trace((80, 5), (0, 30), (None, 4), (0, 30), (80, 5)))
    assert (apart.gaps, apart.kills, apart.apart, apart.ratio) == (0, 0, 1, 1.0)


def test_silence_after_the_last_work_is_in_no_ratio() -> None:
    """Nobody knows what would have come; that it was ended is told."""
    row = figures(10, trace((80, 5), (0, 60)))
    assert (row.gaps, row.kills, row.last) == (0, 0, 1)


def test_nothing_is_ended_while_samples_are_missing() -> None:
    """A hole of ten hours is no idleness."""
    row = figures(10, trace((80, 30), (None, 600), (80, 30)))
    assert (row.kills, row.apart, row.last, row.ended_on_missing) == (0, 0, 0, 0)


def test_a_pod_with_a_sample_in_five_minutes_is_judged_by_its_own_interval() -> None:
    """Its lull begins where the last period with work ends."""
    row = figures(30, trace((80, 20), (0, 60), (80, 20), every=5))
    assert (row.gaps, row.idle, row.kills, row.ended_on_missing) == (1, 60, 1, 0)


lulls = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 80.0, None]), st.integers(1, 40)), min_size=1, max_size=8
)


@given(lulls, st.sampled_from([10, 20, 60]), st.sampled_from([1, 1, 2, 5]))
@settings(max_examples=60)
def test_looking_when_due_finds_what_looking_each_minute_finds(
    stretches: list[tuple[float | None, int]], restart: int, every: int
) -> None:
    """The same ends at the same minutes, and none of them on missing data."""
    samples = trace((80, 5), *stretches, (80, 5), every=every)
    lazy = list(tool.outcomes_of(samples, restart))
    assert lazy == list(tool.outcomes_of(samples, restart, lazily=False))
    assert not any(one.on_missing for one in lazy)


def run(
    tmp_path: Path, raw: bytes, capsys: pytest.CaptureFixture[str], name: str = "t.csv"
) -> tuple[int, str]:
    file = tmp_path / name
    file.write_bytes(raw)
    code = tool.main([str(file)])
    captured = capsys.readouterr()
    return code, captured.err if code == 2 else captured.out.splitlines()[-1]


def as_csv(samples: list[tuple[int, float]]) -> bytes:
    return "\n".join(
        ["pod,minute,percent", *(f"a,{minute},{percent}" for minute, percent in samples)]
    ).encode()


def test_the_last_line_is_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Work alone needs no end: 0; a lull that a kill makes dear: 1, in any order of rows, compressed or not."""
    calm = as_csv(trace((80, 30)))
    assert run(tmp_path, calm, capsys) == (0, "ratio R10=1.000 R30=1.000 R60=1.000 ended_on_missing=0")
    dear = "ratio R10=2.000 R30=2.000 R60=1.000 ended_on_missing=0"
    assert run(tmp_path, as_csv(LULL[::-1]), capsys) == (1, dear)
    for name in ("t.csv.gz", "T.CSV.GZ", "t.csv"):
        assert run(tmp_path, gzip.compress(as_csv(LULL)), capsys, name) == (1, dear)
    assert run(tmp_path, as_csv(LULL), capsys, "t.csv.gz") == (1, dear)
    assert run(tmp_path, as_csv(LULL).replace(b"\n", b"\r"), capsys) == (1, dear)


@pytest.mark.parametrize(
    "raw, told",
    [
        ("pod,minute,percent\na,1,0\n".encode("utf-16"), "line 1: it is UTF-16: iconv"),
        (b"pod,minute,percent\na,1,0\n\xff,2,0\n", "line 3: it is not UTF-8: save it"),
        (b"PK\x03\x04\0\0", "line 1: it is no text: unpack it to CSV; gzip alone is read packed"),
        (
            b"pod;minute;percent\na;1;0\n",
            "line 1: the header is 'pod;minute;percent': it has to be pod,minute",
        ),
        (b"a,1,0\n", "line 1: the header is 'a,1,0': it has to be pod,minute,percent"),
        (b"", "line 1: the header is ''"),
        (b"pod,minute,percent\n", "has no samples: write"),
        (b"pod,minute,percent\na,1\n", "line 2: 2 columns: there have to be three"),
        (b"pod,minute,percent\n,1,0\n", "line 2: no pod"),
        (b"pod,minute,percent\na,1,0\na,one,0\n", "line 3: minute is 'one': it has to be a whole number"),
        (b"pod,minute,percent\na,-1,0\n", "line 2: minute is '-1'"),
        (b"pod,minute,percent\na,1.5,0\n", "line 2: minute is '1.5'"),
        (
            b"pod,minute,percent\na,1,[N/A]\n",
            "line 2: percent is '[N/A]': it has to be a number from 0 to 100",
        ),
        (b"pod,minute,percent\na,1,nan\n", "line 2: percent is 'nan'"),
        (b"pod,minute,percent\na,1,101\n", "line 2: percent is '101'"),
    ],
)
def test_a_bad_file_is_told_by_line_and_remedy(
    raw: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, the file, the line, what is wrong and how to mend it."""
    code, error = run(tmp_path, raw, capsys)
    assert code == 2
    assert told in error
    assert "t.csv" in error


def test_a_missing_or_broken_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that leads nowhere, and a gzip that ends too early."""
    assert tool.main([str(tmp_path / "no.csv")]) == 2
    assert "name a file with TRACE=" in capsys.readouterr().err
    code, error = run(tmp_path, gzip.compress(as_csv(LULL))[:40], capsys, "t.csv.gz")
    assert code == 2
    assert "no complete gzip file" in error


def test_without_a_trace_it_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The data of CURFEW_DATA_DIR, or a sentence."""
    monkeypatch.setenv("CURFEW_DATA_DIR", str(tmp_path))
    assert tool.main([""]) == 2
    assert "TRACE=file.csv[.gz] names one, or CURFEW_DATA_DIR" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.exists(), reason="no real duty cycles at CURFEW_DATA_DIR")
def test_on_real_boxes_waiting_for_the_restart_cost_is_near_the_best() -> None:
    """An hour's window at an hour's restart cost: at most 1.15 times what somebody pays who knows the future."""
    row = tool.evaluate(tool.read_trace(REAL), 60)
    assert 1 < row.ratio <= tool.BOUNDS[60]
    assert row.ended_on_missing == 0
    assert row.apart + row.last > 0
