"""The alarms about Curfew itself rest on the lines that it really writes: each filter is applied to such a line."""

import json
import logging
import operator
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import app as curfew
from chalicelib.ports import SweepRecord
from chalicelib.web import logs
from tests.architecture.sources import ROOT
from tests.builders import START, Stage, minutes

RESOURCES: dict[str, Any] = json.loads((ROOT / ".chalice" / "resources.json").read_text())["Resources"]
FILTERS = {
    resource["Properties"]["MetricTransformations"][0]["MetricName"]: resource["Properties"]["FilterPattern"]
    for resource in RESOURCES.values()
    if resource.get("Type") == "AWS::Logs::MetricFilter"
}
ALARMS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource.get("Type") == "AWS::CloudWatch::Alarm"
}
TERM = re.compile(r'\$\.(\w+) (IS TRUE|(?:=|>) (?:"[^"]*"|\d+))')
COMPARE: dict[str, Callable[[Any, Any], bool]] = {"=": operator.eq, ">": operator.gt}


def matches(pattern: str, line: str) -> bool:
    """What CloudWatch Logs makes of a JSON pattern, as far as these use it: `&&` between simple terms."""
    terms = TERM.findall(pattern)
    assert "||" not in pattern
    assert pattern.count("$.") == len(terms), f"a term of {pattern} is of a form that this does not know"
    facts = json.loads(line)
    return all(_holds(facts, *term) for term in terms)


def _holds(facts: dict[str, Any], name: str, test: str) -> bool:
    if test == "IS TRUE":
        return facts.get(name) is True
    sign, _, value = test.partition(" ")
    return name in facts and COMPARE[sign](facts[name], json.loads(value))


class Listening(logging.Handler):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def heard() -> Any:
    """The lines that are written meanwhile."""
    handler = Listening()
    logs.LOG.addHandler(handler)
    yield handler.lines
    logs.LOG.removeHandler(handler)


def line_of(record: SweepRecord, heard: list[str]) -> str:
    curfew._swept(record)
    return heard[-1]


def swept() -> SweepRecord:
    stage = Stage()
    stage.launch()
    return stage.sweep()


def test_a_complete_scheduled_sweep_counts_and_no_other(heard: list[str]) -> None:
    """An event's, a person's and one that missed a region keep the alarm ringing."""
    whole, pattern = swept(), FILTERS["CompleteSweeps"]
    assert matches(pattern, line_of(whole, heard))
    assert not matches(pattern, line_of(replace(whole, is_complete=False), heard))
    assert not matches(pattern, line_of(replace(whole, trigger="request"), heard))


def test_a_sweep_that_sees_nothing_while_leases_have_boxes_counts_as_blind(heard: list[str]) -> None:
    """Nothing seen and nothing expected is a quiet day."""
    whole, pattern = swept(), FILTERS["BlindSweeps"]
    stage = Stage()
    stage.launch()
    stage.sweep()
    for region in stage.compute.names:
        stage.compute.fail("observe", region)
    stage.clock.advance(minutes(1))
    assert matches(pattern, line_of(stage.sweep(), heard))
    assert not matches(pattern, line_of(whole, heard))
    assert not matches(pattern, line_of(Stage().sweep(), heard))


def test_a_denied_end_counts_from_its_first_minute(heard: list[str]) -> None:
    """And an end that merely takes its time does not."""
    pattern = FILTERS["DeniedEnds"]
    stage = Stage()
    stage.launch(lasts_for=minutes(30))
    stage.until(START + minutes(29))
    stage.compute.fail("terminate", times=99, code="UnauthorizedOperation")
    assert matches(pattern, line_of(stage.until(START + minutes(30)), heard))
    stage.compute.mend()
    stage.compute.ec2.shutting_down_for = minutes(3)
    assert not matches(pattern, line_of(stage.until(START + minutes(31)), heard))


def test_what_fails_is_written_as_an_error(heard: list[str]) -> None:
    """Requests and events write one line each."""
    logs.failure("request failed", RuntimeError("x"))
    assert matches(FILTERS["Failures"], heard[-1])
    logs.line("request", status=200)
    assert not matches(FILTERS["Failures"], heard[-1])


def test_every_alarm_has_its_metric_its_action_and_its_page() -> None:
    """A metric that nothing writes never rings; the runbook has a section for each."""
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    for name, alarm in ALARMS.items():
        is_lambdas = alarm["Namespace"] == "AWS/Lambda"
        assert is_lambdas or alarm["MetricName"] in FILTERS, name
        assert alarm["AlarmActions"] == {
            "Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]
        }
        section = alarm["AlarmDescription"].rpartition("docs/runbook.md, ")[2]
        assert f"### {section}" in runbook, f"{name} names a section that the runbook has not"


def test_silence_rings() -> None:
    """A Curfew that writes nothing at all has had no complete sweep; everything else needs a line to ring."""
    missing = {name: alarm["TreatMissingData"] for name, alarm in ALARMS.items()}
    assert missing.pop("NoCompleteSweep") == "breaching"
    assert set(missing.values()) == {"notBreaching"}
    alarm = ALARMS["NoCompleteSweep"]
    assert (alarm["Period"] * alarm["EvaluationPeriods"], alarm["ComparisonOperator"]) == (
        300,
        "LessThanThreshold",
    )
