"""Metrics: what CloudWatch knows of a box's load."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.world import World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CPU = ("AWS/EC2", "CPUUtilization")
GPU = ("CWAgent", "nvidia_smi_utilization_gpu")


@pytest.fixture
def cloudwatch(world: World) -> Any:
    return world.session().client("cloudwatch")


def query(
    box_id: str, metric: tuple[str, str] = GPU, stat: str = "Maximum", period: int = 60, **more: str
) -> dict[str, Any]:
    dimensions = {"InstanceId": box_id, **more}
    return {
        "Id": "q",
        "MetricStat": {
            "Metric": {
                "Namespace": metric[0],
                "MetricName": metric[1],
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": period,
            "Stat": stat,
        },
    }


def values(
    world: World, cloudwatch: Any, one: dict[str, Any], back: timedelta = HOUR, **more: Any
) -> list[float]:
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[one], StartTime=world.now - back, EndTime=world.now, **more
    )
    got: list[float] = answer["MetricDataResults"][0]["Values"]
    return got


def test_metrics_follow_the_load_of_a_box(world: World, cloudwatch: Any) -> None:
    """One sample a minute from the start of running on, newest first, with the load in force at its moment."""
    box = world.start_box("g5.xlarge", gpu=80.0, cpu=30.0)
    world.advance(5 * MINUTE)
    world.set_load(box.id, gpu=0.0)
    world.advance(5 * MINUTE)
    assert values(world, cloudwatch, query(box.id)) == [0, 0, 0, 0, 0, 80, 80, 80, 80]
    assert values(world, cloudwatch, query(box.id), ScanBy="TimestampAscending")[0] == 80
    assert values(world, cloudwatch, query(box.id, CPU)) == [30] * 9


def test_a_box_is_idle_with_samples_unless_told_otherwise(world: World, cloudwatch: Any) -> None:
    """GPU 0 and CPU 2 are the load of a new box."""
    box = world.start_box("g5.xlarge")
    world.advance(10 * MINUTE)
    assert set(values(world, cloudwatch, query(box.id))) == {0}
    assert set(values(world, cloudwatch, query(box.id, CPU))) == {2}


def test_no_gpu_load_means_no_samples(world: World, cloudwatch: Any) -> None:
    """gpu None: the agent is silent, while EC2's own CPU metric goes on."""
    box = world.start_box("g5.xlarge", gpu=None)
    world.advance(10 * MINUTE)
    assert values(world, cloudwatch, query(box.id)) == []
    assert len(values(world, cloudwatch, query(box.id, CPU))) == 9


def test_samples_can_come_every_five_minutes(world: World, cloudwatch: Any) -> None:
    """With a period of 300 an hour holds twelve samples; a 60-second query finds the same ones."""
    box = world.start_box("g5.xlarge", period=300)
    world.advance(2 * HOUR)
    assert len(values(world, cloudwatch, query(box.id, period=300))) == 12
    assert len(values(world, cloudwatch, query(box.id, period=60))) == 12


def test_each_gpu_has_its_own_series_and_the_aggregate_takes_all_in(world: World, cloudwatch: Any) -> None:
    """By InstanceId alone the maximum is that of the busiest GPU; with index, name and arch it is one GPU's."""
    box = world.start_box("g5.12xlarge", gpu=[91.0, 0.0, 0.0, 0.0])
    world.advance(10 * MINUTE)
    listed = cloudwatch.list_metrics(Namespace=GPU[0], MetricName=GPU[1])["Metrics"]
    single = [{d["Name"]: d["Value"] for d in one["Dimensions"]} for one in listed]
    by_index = {one["index"]: one for one in single if "index" in one}
    assert sorted(by_index) == ["0", "1", "2", "3"]
    assert set(by_index["0"]) == {"InstanceId", "index", "name", "arch"}
    assert set(values(world, cloudwatch, query(box.id))) == {91}
    assert set(values(world, cloudwatch, query(box.id, stat="Average"))) == {91 / 4}
    assert set(values(world, cloudwatch, query(**{**_dimensions(by_index["1"]), "box_id": box.id}))) == {0}
    assert set(values(world, cloudwatch, query(**{**_dimensions(by_index["0"]), "box_id": box.id}))) == {91}


def _dimensions(one: dict[str, str]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != "InstanceId"}


def test_dimensions_must_match_exactly(world: World, cloudwatch: Any) -> None:
    """A part of a series' dimensions, or one more, is another metric: no samples."""
    box = world.start_box("g5.xlarge")
    world.advance(10 * MINUTE)
    assert values(world, cloudwatch, query(box.id, index="0")) == []
    assert values(world, cloudwatch, query(box.id, CPU, extra="x")) == []


def test_periods_aggregate_their_samples(world: World, cloudwatch: Any) -> None:
    """Maximum, average and sample count over five minutes."""
    box = world.start_box("g5.xlarge", gpu=10.0)
    world.advance(6 * MINUTE)
    world.set_load(box.id, gpu=60.0)
    world.advance(4 * MINUTE)
    newest = {
        stat: values(world, cloudwatch, query(box.id, stat=stat, period=300))[0]
        for stat in ("Maximum", "Average", "SampleCount")
    }
    assert newest == {"Maximum": 60, "Average": (10 + 4 * 60) / 5, "SampleCount": 5}


def test_a_stopped_box_sends_no_samples(world: World, cloudwatch: Any, ec2: Any) -> None:
    """Samples end with the run and begin again with the next."""
    box = world.start_box("g5.xlarge")
    world.advance(10 * MINUTE)
    ec2.stop_instances(InstanceIds=[box.id])
    world.advance(HOUR)
    assert values(world, cloudwatch, query(box.id), back=50 * MINUTE) == []
    ec2.start_instances(InstanceIds=[box.id])
    world.advance(10 * MINUTE)
    assert len(values(world, cloudwatch, query(box.id), back=50 * MINUTE)) == 9


def test_at_most_500_queries_a_call(world: World, cloudwatch: Any) -> None:
    """501 are a ValidationError, 500 are answered each by its id."""
    box = world.start_box("g5.xlarge")
    world.advance(10 * MINUTE)
    queries = [{**query(box.id), "Id": f"q{number}"} for number in range(501)]
    span = {"StartTime": world.now - HOUR, "EndTime": world.now}
    with pytest.raises(ClientError, match="ValidationError"):
        cloudwatch.get_metric_data(MetricDataQueries=queries, **span)
    answer = cloudwatch.get_metric_data(MetricDataQueries=queries[:500], **span, MaxDatapoints=100000)
    assert [row["Id"] for row in answer["MetricDataResults"]] == [f"q{number}" for number in range(500)]


def test_get_metric_statistics_answers_the_same(world: World, cloudwatch: Any) -> None:
    """The older call gives the same points."""
    box = world.start_box("g5.xlarge", gpu=40.0)
    world.advance(10 * MINUTE)
    points = cloudwatch.get_metric_statistics(
        Namespace=GPU[0],
        MetricName=GPU[1],
        Dimensions=[{"Name": "InstanceId", "Value": box.id}],
        StartTime=world.now - HOUR,
        EndTime=world.now,
        Period=60,
        Statistics=["Maximum", "SampleCount"],
    )["Datapoints"]
    assert [(point["Maximum"], point["SampleCount"]) for point in points] == [(40, 1)] * 9


def test_other_namespaces_are_left_to_moto(world: World, cloudwatch: Any) -> None:
    """What an application puts itself can be read back."""
    cloudwatch.put_metric_data(
        Namespace="Curfew", MetricData=[{"MetricName": "Ended", "Value": 3, "Timestamp": world.now}]
    )
    one = query("x", ("Curfew", "Ended"))
    one["MetricStat"]["Metric"]["Dimensions"] = []
    world.advance(5 * MINUTE)
    assert values(world, cloudwatch, one) == [3]
    assert cloudwatch.list_metrics(Namespace="Curfew")["Metrics"][0]["MetricName"] == "Ended"
