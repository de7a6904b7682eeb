"""A fresh world for each test, and one running server for those that speak HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from localaws.world import World

_pool = urllib3.PoolManager(maxsize=50)
ROOT = Path(__file__).parents[2]
IMAGE = "ami-0123456789abcdef0"
TINY_APP = """
import json, os, threading
from concurrent.futures import ThreadPoolExecutor
import boto3, urllib3
from chalice import Chalice, Cron, Rate
from chalicelib import container

app = Chalice(app_name="tiny")
seen = {"sweeps": [], "events": [], "daily": [], "expired": []}
broken = {"sweep": False}

@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep(event):
    if broken["sweep"]:
        raise RuntimeError("this sweep fails")
    seen["sweeps"].append(event.time)
    boto3.client("ec2").describe_instances()

@app.schedule(Cron(0, 9, "*", "*", "?", "*"))
def digest(event):
    seen["daily"].append(event.time)

@app.on_sqs_message(queue="ec2-events")
def on_ec2_event(event):
    for record in event:
        seen["events"].append(json.loads(record.body))

@app.lambda_function(name="expire")
def expire(event, context):
    seen["expired"].append(event)

@app.route("/work", methods=["POST"])
def work():  # three calls in threads, a fourth that launches, a fifth that cleans up after itself
    ec2 = boto3.client("ec2")
    launch = {"ImageId": "ami-1", "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: ec2.describe_regions(), range(3)))
        ec2.run_instances(**launch)
    except Exception:
        ec2.run_instances(**launch)
    finally:
        ec2.run_instances(**launch)
    return {"container": container.name()}

@app.route("/seen")
def get_seen():
    return seen

@app.route("/break", methods=["POST"])
def break_sweep():
    broken["sweep"] = app.current_request.json_body["broken"]
    return {}

@app.route("/environment")
def environment():
    return dict(os.environ)

@app.route("/echo/{name}")
def echo(name):
    ours = app.current_request
    boto3.client("ec2").describe_regions()
    return {"asked": name, "seen": app.current_request.uri_params["name"], "same": ours is app.current_request}

@app.route("/tables")
def tables():
    return boto3.client("dynamodb").describe_table(TableName=os.environ["CURFEW_TABLE"])["Table"]["KeySchema"]

@app.route("/notify", methods=["POST"])
def notify():
    url = os.environ["CURFEW_SLACK_WEBHOOK_URL"]
    return {"status": urllib3.PoolManager().request("POST", url, json={"text": "hello"}).status}
"""

CONTAINER = """
from functools import cache
from uuid import uuid4

@cache
def name():
    return uuid4().hex  # kept for the life of the container
"""


@pytest.fixture
def world() -> Iterator[World]:
    with World(regions=("us-east-1", "us-west-2"), seed=1) as opened:
        yield opened


@pytest.fixture
def ec2(world: World) -> Any:
    return world.session().client("ec2")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


def http(method: str, url: str, body: Any = None) -> Answer:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    response = _pool.request(method, url, body=data, headers=headers, timeout=60, retries=False)
    try:
        return Answer(response.status, json.loads(response.data))
    except ValueError:
        return Answer(response.status, response.data.decode())


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    api_url: str
    aws_url: str
    errors: Path

    def api(self, method: str, path: str, body: Any = None) -> Any:
        return http(method, self.api_url + path, body).body

    def world(self, method: str, path: str = "", body: Any = None) -> Answer:
        return http(method, f"{self.aws_url}/_world{path}", body)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """End it and answer how many seconds that took; it must say that it ended well."""
        assert self.process.stdout is not None
        began = time.monotonic()
        self.process.send_signal(how)
        assert self.process.wait(10) == 0
        took = time.monotonic() - began
        self.process.stdout.close()
        return took

    def advance(self, seconds: int) -> None:
        assert self.world("POST", "/clock", {"advance_seconds": seconds}).status == 200


def start_server(app_dir: Path, errors: Path, *options: str, env: dict[str, str] | None = None) -> Running:
    api_port, aws_port = free_port(), free_port()
    command = [
        sys.executable,
        "-m",
        "localaws",
        "serve",
        "--api-port",
        str(api_port),
        "--aws-port",
        str(aws_port),
    ]
    command += [
        "--speed",
        "0",
        "--admin-token",
        "secret",
        "--app-dir",
        str(app_dir),
        "--start",
        "2026-03-02T08:50:00Z",
    ]
    with errors.open("w") as sink:
        process = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if line != f"ready http://127.0.0.1:{api_port}\n":
        process.kill()
        process.communicate()
        pytest.fail(f"the server did not start: {line}{errors.read_text()}")
    return Running(process, f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{aws_port}", errors)


@pytest.fixture(scope="session")
def tiny_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "app.py").write_text(TINY_APP)
    (folder / "chalicelib").mkdir()
    (folder / "chalicelib" / "__init__.py").touch()
    (folder / "chalicelib" / "container.py").write_text(CONTAINER)
    (folder / ".chalice").mkdir()
    (folder / ".chalice" / "resources.json").write_text((ROOT / ".chalice" / "resources.json").read_text())
    return folder


@pytest.fixture(scope="session")
def shared_server(tiny_app: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start_server(tiny_app, tmp_path_factory.mktemp("server") / "errors.txt")
    yield running
    running.stop()


@pytest.fixture
def server(shared_server: Running) -> Running:
    """The one server, started over."""
    shared_server.world("DELETE")
    return shared_server
