"""`python -m localaws serve`: the process that people and tests start."""

from __future__ import annotations

import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.localaws.conftest import ROOT, Running, free_port, start_server
from tests.localaws.conftest import http as request

pytestmark = pytest.mark.e2e


def start_box(server: Running, **body: Any) -> Any:
    answer = server.world("POST", "/instances", {"type": "g5.xlarge", **body})
    assert answer.status == 201, answer
    return answer.body


def test_schedules_run_once_a_step_and_never_in_between(server: Running) -> None:
    """Ten minutes of clock are ten sweeps at whole minutes; the daily function runs at its hour."""
    before = server.api("GET", "/seen")
    server.advance(600)
    after = server.api("GET", "/seen")
    assert len(after["sweeps"]) - len(before["sweeps"]) == 10
    assert all(moment.endswith(":00Z") for moment in after["sweeps"])


def test_the_clock_stands_still_between_the_steps(server: Running) -> None:
    """With speed 0 nothing moves unless it is asked to, and then by exactly that much."""
    now = server.world("GET").body["now"]
    time.sleep(0.1)
    assert server.world("GET").body["now"] == now
    answer = server.world("POST", "/clock", {"advance_seconds": 90})
    assert answer.body["now"] == server.world("GET").body["now"] != now


def test_ec2_events_reach_the_queue_function_without_the_clock(server: Running) -> None:
    """Starting a box is told to `on_ec2_event` at once, as an SQS record that holds the EventBridge event."""
    now = server.world("GET").body["now"]
    before = len(server.api("GET", "/seen")["events"])  # ids come again when a world starts over
    box = start_box(server)
    deadline = time.monotonic() + 5
    told: list[str] = []
    while "pending" not in told and time.monotonic() < deadline:
        events = server.api("GET", "/seen")["events"][before:]
        told = [
            event["detail"]["state"] for event in events if event["detail"].get("instance-id") == box["id"]
        ]
    assert told == ["pending"]
    assert server.world("GET").body["now"] == now


def test_a_failing_sweep_prints_its_traceback_and_ends_nothing(server: Running) -> None:
    """The next sweeps run, and the error is on stderr."""
    server.api("POST", "/break", {"broken": True})
    server.advance(120)
    server.api("POST", "/break", {"broken": False})
    before = len(server.api("GET", "/seen")["sweeps"])
    server.advance(60)
    assert len(server.api("GET", "/seen")["sweeps"]) == before + 1
    assert "RuntimeError: this sweep fails" in server.errors.read_text()


def test_requests_are_served_side_by_side_each_with_its_own(server: Running) -> None:
    """Fifty at once: each sees its own request, though the application keeps the current one on itself."""

    def ask(number: int) -> Any:
        return server.api("GET", f"/echo/{number}")

    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(ask, range(50)))
    assert [answer["seen"] for answer in answers] == [str(number) for number in range(50)]
    assert all(answer["same"] for answer in answers)


def test_the_table_is_made_from_the_template(server: Running) -> None:
    """CURFEW_TABLE exists with the keys of .chalice/resources.json."""
    assert server.api("GET", "/tables") == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]


def test_the_application_has_curfews_settings(server: Running) -> None:
    """Table, regions, mode, arming, token hash and addresses are set, the home region first."""
    env = server.api("GET", "/environment")
    assert env["CURFEW_ADMIN_TOKEN_SHA256"] == hashlib.sha256(b"secret").hexdigest()
    assert env["CURFEW_REGIONS"] == "us-east-1,us-west-2,eu-west-1"
    assert (env["CURFEW_MODE"], env["CURFEW_ARMED"]) == ("enforce", "true")
    assert (env["CURFEW_PUBLIC_URL"], env["AWS_ENDPOINT_URL"]) == (server.api_url, server.aws_url)
    assert env["AWS_DEFAULT_REGION"] == "us-east-1"


def test_slack_messages_are_kept(server: Running) -> None:
    """What the application posts to its webhook can be read under /_world/slack; a fault makes the sink fail."""
    assert server.api("POST", "/notify") == {"status": 200}
    assert [message["body"] for message in server.world("GET", "/slack").body] == [{"text": "hello"}]
    server.world("POST", "/faults", {"service": "slack", "code": 503})
    assert server.api("POST", "/notify") == {"status": 503}
    assert len(server.world("GET", "/slack").body) == 1


def test_the_world_over_http(server: Running) -> None:
    """Start, load, interrupt, fault and forget a box by the routes of /_world."""
    box = start_box(server, market="one-time", tags={"team": "vision"}, gpu=70)
    assert (box["market"], box["tags"], box["gpu"], box["state"]) == (
        "one-time",
        {"team": "vision"},
        70,
        "pending",
    )
    put = server.world("PUT", f"/instances/{box['id']}", {"gpu": None, "metric_period": 300})
    assert (put.status, put.body["gpu"], put.body["metric_period"]) == (200, None, 300)
    server.advance(60)
    assert server.world("POST", f"/interrupt/{box['id']}").status == 202
    server.advance(180)
    truth = server.world("GET").body
    (row,) = truth["instances"]
    assert (row["state"], row["ended_by"]) == ("terminated", "ec2-interruption")
    assert truth["spot_requests"][0]["state"] == "closed"
    assert server.world("GET", f"/instances/{box['id']}").body == row
    fault = server.world(
        "POST", "/faults", {"service": "ec2", "operation": "DescribeInstances", "code": "InternalError"}
    )
    assert fault.status == 201
    assert [one["id"] for one in server.world("GET", "/faults").body] == [fault.body["id"]]
    assert server.world("DELETE", f"/faults/{fault.body['id']}").body == []
    started = server.world("POST", "/instances", {"type": "g5.xlarge", "count": 3}).body
    assert len(started["items"]) == 3
    again = server.world("DELETE").body
    assert (again["instances"], again["now"]) == ([], truth["now"])


@pytest.mark.parametrize(
    "method, path, body, status, field",
    [
        ("POST", "/instances", {"market": "on-demand"}, 422, "type"),
        ("POST", "/instances", {"type": "nope"}, 422, "type"),
        ("POST", "/instances", {"type": "g5.xlarge", "market": "spot"}, 422, "market"),
        ("POST", "/instances", {"type": "g5.xlarge", "region": "mars-1"}, 422, "region"),
        ("POST", "/instances", {"type": "g5.xlarge", "gpu": 101}, 422, "gpu"),
        ("POST", "/instances", b"{", 400, "body"),
        ("PUT", "/instances/i-0", {"gpu": 1}, 404, "id"),
        ("POST", "/interrupt/i-0", None, 404, "id"),
        ("POST", "/clock", {"advance_seconds": "a lot"}, 422, "advance_seconds"),
        ("POST", "/faults", {"rate": 2}, 422, "rate"),
        ("POST", "/faults", {"colour": "red"}, 422, "colour"),
        ("GET", "/nothing", None, 404, None),
        ("PATCH", "/clock", None, 405, None),
    ],
)
def test_errors_of_the_world_name_the_field(
    server: Running, *, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    """A sentence, and the field it is about."""
    answer = server.world(method, path, body)
    assert (answer.status, answer.body["field"]) == (status, field)
    assert len(answer.body["error"]) > 10


def test_boto3_reaches_the_world_by_its_port(server: Running) -> None:
    """Any AWS client works against the AWS port; the truth shows what it did."""
    client = boto3.client(
        "ec2",
        region_name="eu-west-1",
        endpoint_url=server.aws_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    client.run_instances(ImageId="ami-1", InstanceType="g5.xlarge", MinCount=1, MaxCount=1)
    truth = server.world("GET").body
    assert [(row["region"], row["market"]) for row in truth["instances"]] == [("eu-west-1", "on-demand")]
    assert [(row["operation"], row["ids"]) for row in truth["calls"]] == [
        ("RunInstances", [truth["instances"][0]["id"]])
    ]


class Trap(http.server.BaseHTTPRequestHandler):
    """What a real account, a proxy or the metadata service would be: nobody may come here."""

    visitors: list[str] = []  # noqa: RUF012 shared by all connections on purpose

    def _note(self) -> None:
        self.visitors.append(self.path)
        self.send_error(500)

    do_GET = do_POST = do_PUT = do_CONNECT = _note  # noqa: N815


@pytest.fixture
def trap() -> Iterator[str]:
    Trap.visitors.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_no_real_account_can_be_reached(tiny_app: Path, trap: str, tmp_path: Path) -> None:
    """With every variable, file and proxy of the caller pointing at a real account, not one request leaves for it."""
    (tmp_path / "config").write_text(f"[profile prod]\nendpoint_url = {trap}\nregion = eu-north-1\n")
    (tmp_path / "credentials").write_text(
        "[prod]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n"
    )
    hostile = {
        "AWS_PROFILE": "prod",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_REGION": "eu-north-1",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_ENDPOINT_URL": trap,
        "AWS_ENDPOINT_URL_EC2": trap,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": trap,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": trap,
        "HTTP_PROXY": trap,
        "http_proxy": trap,
        "HTTPS_PROXY": trap,
        "https_proxy": trap,
        "ALL_PROXY": trap,
        "all_proxy": trap,
        "NO_PROXY": "",
        "HOME": str(tmp_path),
        "CURFEW_MODE": "dry-run",
        "CURFEW_TABLE": "production",
        "CURFEW_DEADMAN_URL": trap,
        "CURFEW_SNS_TOPIC_ARN": "arn:aws:sns:eu-north-1:1:real",
    }
    running = start_server(tiny_app, tmp_path / "errors.txt", env=hostile)
    try:
        assert running.world("POST", "/instances", {"type": "g5.xlarge"}).status == 201
        running.advance(120)
        assert running.api("GET", "/echo/1")["same"]
        assert running.api("POST", "/notify") == {"status": 200}
        env = running.api("GET", "/environment")
        assert len(running.api("GET", "/seen")["sweeps"]) == 3
    finally:
        assert running.stop(signal.SIGINT) < 2
    assert Trap.visitors == []
    assert "AKIAREAL" not in "".join(env.values())
    assert trap not in env.values()
    assert "CURFEW_SNS_TOPIC_ARN" not in env
    assert (env["CURFEW_MODE"], env["CURFEW_TABLE"]) == ("dry-run", "curfew")


def test_the_clock_runs_by_itself_and_stops_within_two_seconds_at_sigterm(
    tiny_app: Path, tmp_path: Path
) -> None:
    """With a speed the clock moves without being asked; SIGTERM ends it in time, with exit status 0."""
    running = start_server(tiny_app, tmp_path / "errors.txt", "--speed", "6000")
    before = running.world("GET").body["now"]
    time.sleep(0.5)
    assert running.world("GET").body["now"] > before
    assert running.stop(signal.SIGTERM) < 2


def run(*options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localaws", "serve", "--admin-token", "t", *options]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
        check=False,
        env={**os.environ, **(env or {})},
    )


@pytest.mark.parametrize("option", ["--api-port", "--aws-port"])
def test_a_port_in_use_is_named_with_what_to_do(server: Running, option: str) -> None:
    """One line on stderr, exit status 2, no traceback."""
    taken = server.aws_url.rpartition(":")[2]
    other = "--aws-port" if option == "--api-port" else "--api-port"
    ended = run(option, taken, other, str(free_port()))
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        f"localaws: port {taken} is in use: stop what listens there (lsof -i :{taken} "
    )
    variable = option.strip("-").replace("-", "_").upper()
    beside = int(taken) + 1
    assert ended.stderr.endswith(f"choose another: {option} {beside}, or make serve {variable}={beside}\n")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "option, regions",
    [
        ("--regions", "mars-1"),
        ("--regions", "us-east-1,eu-west-99"),
        ("--regions", ""),
        ("--forwarded", "mars-1"),
        ("--forwarded", "us-east-1,ap-south-1"),
    ],
)
def test_a_wrong_region_is_named(option: str, regions: str) -> None:
    """One line that quotes the region, before anything is started."""
    ended = run(option, regions, "--api-port", str(free_port()), "--aws-port", str(free_port()))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert option in ended.stderr


def test_a_lost_connection_ends_without_an_answer(server: Running) -> None:
    """A `drop` fault closes the connection of the AWS port."""
    server.world("POST", "/faults", {"service": "ec2", "lost_answer": True, "code": "drop", "times": 1})
    client = boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=server.aws_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    assert client.describe_instances()["Reservations"] == []  # botocore tries again by itself


def test_the_webhook_takes_a_plain_post(server: Running) -> None:
    """Any client can post to the sink."""
    assert request("POST", f"{server.aws_url}/_world/slack/webhook", {"text": "x"}).status == 200
