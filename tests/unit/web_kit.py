"""What the tests of the web layer share: the app on doubles in memory, a caller in front of it, and its log."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from chalice.test import Client

import app as curfew
from chalicelib.gateways.ledger import MemoryLedger
from chalicelib.ports import Services
from chalicelib.settings import Settings
from chalicelib.web.auth import Gate
from chalicelib.web.logs import LOG
from tests.doubles.memory_bills import MemoryBills
from tests.doubles.memory_compute import MemoryCompute
from tests.doubles.memory_keys import MemoryKeys
from tests.doubles.memory_ports import MemoryClock, MemoryMetrics, MemoryNotifier, MemoryPrices
from tests.doubles.memory_security_groups import MemorySecurityGroups
from tests.doubles.memory_store import MemoryStore
from tests.doubles.memory_trail import MemoryTrail
from tests.unit.openapi_kit import check_answer

TOKEN = "sesame-of-the-test"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
LAUNCH = {"instance_types": ["g5.xlarge"], "image": "ami-0123456789abcdef0", "region": "us-east-1"}


@dataclass
class World:
    """The doubles behind the app, and a caller in front of it."""

    clock: MemoryClock
    compute: MemoryCompute
    store: MemoryStore
    services: Services

    def __call__(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        answer = self.respond(method, path, body, headers)
        return answer.status_code, answer.json_body

    def respond(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The whole response, headers included. It is what GET /openapi.json says, or the test fails."""
        raw = b"" if body is None else json.dumps(body).encode()
        client = Client(curfew.app, project_dir="/nonexistent")
        answer = client.http.request(method, path, headers={**ADMIN, **(headers or {})}, body=raw)
        check_answer(method, path, answer.status_code, answer.headers, answer.body)
        return answer

    def put(self, **services: Any) -> None:
        """Other doubles in the place of some."""
        self.services = replace(self.services, **services)

    def launched(self, **more: Any) -> Any:
        """A lease that has started."""
        status, lease = self("POST", "/spot-requests", {**LAUNCH, **more})
        assert status == 201, lease
        return lease


def settings() -> Settings:
    """An environment in which everything may happen."""
    return Settings(
        table="curfew",
        admin_token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(),
        home_region="us-east-1",
        regions=None,
        mode="enforce",
        armed=True,
        slack_webhook_url=None,
        slack_webhook_parameter=None,
        public_url=None,
    )


def on_doubles(clock: MemoryClock, compute: MemoryCompute, store: MemoryStore) -> Services:
    """Everything in memory, armed."""
    return Services(
        clock=clock,
        compute=compute,
        metrics=MemoryMetrics(),
        prices=MemoryPrices(),
        bills=MemoryBills(),
        keys=MemoryKeys(),
        security_groups=MemorySecurityGroups(),
        trail=MemoryTrail(),
        store=store,
        tokens=store,
        audit=store,
        notifier=MemoryNotifier(),
        ledger=MemoryLedger(),
        regions=None,
        home_region="us-east-1",
        is_armed=True,
    )


def open_world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app with its door opened onto the doubles, for one test."""
    clock = MemoryClock()
    compute, store = MemoryCompute(clock), MemoryStore()
    services = on_doubles(clock, compute, store)
    world = World(clock, compute, store, services)
    monkeypatch.setattr(curfew.door, "services", lambda: world.services)
    monkeypatch.setattr(curfew.door, "settings", settings)
    monkeypatch.setattr(curfew.door, "gate", Gate())
    return world


def is_problem(answer: tuple[int, Any, Mapping[str, str]], status: int, slug: str) -> bool:
    """Whether an answer is that problem, with everything that every problem has."""
    got, body, headers = answer
    assert headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == got
    return (got, body["type"]) == (status, f"/problems/{slug}")


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """The lines that are logged meanwhile."""
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(record.getMessage()))  # type: ignore[method-assign]
    before = LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(before)
