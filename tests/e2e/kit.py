"""What the end-to-end tests do: act by Curfew's API and behind its back, let time pass, look at the truth."""

from base64 import b64decode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from typing import Any

import boto3
import urllib3

from localaws.demo.stage import TOKEN, Stage, when

IMAGE = "ami-0123456789abcdef0"


_POOL = urllib3.PoolManager()


class Lab:
    """One account. Costs and states come from `/_world`, never from Curfew."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A call of Curfew's API."""
        return self._stage.curfew(method, path, body)

    def raw(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """A call of Curfew's API to the letter, with its token; the whole answer."""
        sent = {"Authorization": f"Bearer {TOKEN}", **(headers or {})}
        return _POOL.request(
            method, f"{self._stage.api}{path}", body=body, headers=sent, retries=False, timeout=60
        )

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """A call that must succeed; its body."""
        status, answer = self.api(method, path, body)
        assert status < 300, (status, answer)
        return answer

    def many(self, calls: list[tuple[str, str, Any]]) -> list[tuple[int, Any]]:
        """Calls made at the same time."""
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(lambda call: self.api(*call), calls))

    def policy(self, **sections: dict[str, Any]) -> None:
        """Change some sections of the policy."""
        policy = self.ok("GET", "/policy")
        for name, values in sections.items():
            policy[name] |= values
        self.ok("PUT", "/policy", policy)

    def launch(self, *, gpu: Any = 0, metric_period: int = 60, **order: Any) -> dict[str, Any]:
        """A launch that succeeds, with the load of its box."""
        body = {"image": IMAGE, "instance_types": ["g5.xlarge"], "egress_gb": 0, **order}
        lease: dict[str, Any] = self.ok("POST", "/spot-requests", body)
        for instance_id in lease["instance_ids"]:
            self.load(instance_id, gpu=gpu, metric_period=metric_period)
        return lease

    def start(self, kind: str = "g5.xlarge", *, market: str = "on-demand", **more: Any) -> dict[str, Any]:
        """A box behind Curfew's back."""
        row: dict[str, Any] = self._stage.world(
            "POST", "/instances", {"type": kind, "market": market, **more}
        )
        return row

    def load(self, instance_id: str, **load: Any) -> None:
        """What a box does."""
        self._stage.world("PUT", f"/instances/{instance_id}", load)

    def fault(self, **fault: Any) -> None:
        """AWS or Slack misbehaves."""
        self._stage.world("POST", "/faults", fault)

    @property
    def hit(self) -> set[str]:
        """The services whose faults have hit a call."""
        return {fault["service"] for fault in self._stage.world("GET", "/faults") if fault["hits"]}

    def mend(self) -> None:
        """No more faults."""
        self._stage.world("DELETE", "/faults")

    def minutes(self, minutes: int) -> None:
        """Let time pass, every minute swept."""
        self._stage.world("POST", "/clock", {"advance_seconds": 60 * minutes})

    @property
    def truth(self) -> dict[str, Any]:
        """What AWS really has and bills."""
        return self._stage.truth()

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self._stage.now()

    def row(self, instance_id: str) -> dict[str, Any]:
        """The truth of one instance."""
        (row,) = [row for row in self.truth["instances"] if row["id"] == instance_id]
        found: dict[str, Any] = row
        return found

    def state(self, instance_id: str) -> str:
        """An instance's state."""
        return str(self.row(instance_id)["state"])

    def billed(self, *instance_ids: str) -> Decimal:
        """What AWS bills for instances."""
        return sum((Decimal(self.row(one)["billed_usd"]) for one in instance_ids), Decimal(0))

    def request_state(self, request_id: str) -> str:
        """A spot request's state."""
        (state,) = [row["state"] for row in self.truth["spot_requests"] if row["id"] == request_id]
        return str(state)

    def alive(self) -> set[str]:
        """Everything that runs or may run."""
        return {r["id"] for r in self.truth["instances"] if r["state"] not in ("shutting-down", "terminated")}

    def calls(self, operation: str, *, about: str | None = None) -> list[dict[str, Any]]:
        """The calls of an operation, in order."""
        return [
            row
            for row in self.truth["calls"]
            if row["operation"] == operation and (about is None or about in row["ids"])
        ]

    def said(self, *words: str) -> list[datetime]:
        """When Slack was told something with all these words in it."""
        messages = self._stage.world("GET", "/slack")
        return [when(m["at"]) for m in messages if all(word in str(m["body"]) for word in words)]

    def receipts(self) -> list[dict[str, Any]]:
        """Every receipt."""
        found: list[dict[str, Any]] = self.ok("GET", "/receipts")["items"]
        return found

    def cancel(self, request_id: str) -> None:
        """What a person does in the console: cancel a request and leave its box running."""
        self._ec2().cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])

    def protect_from_termination(self, instance_id: str) -> None:
        """What a person does in the console."""
        self._ec2().modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": True})

    def tag(self, instance_id: str, **tags: str) -> None:
        """Tag a box by hand; underscores in keys stand for the colon of Curfew's tags."""
        named = [{"Key": key.replace("__", ":"), "Value": value} for key, value in tags.items()]
        self._ec2().create_tags(Resources=[instance_id], Tags=named)

    def user_data(self, instance_id: str) -> str:
        """What a box was started with."""
        told = self._ec2().describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        return b64decode(told["UserData"]["Value"]).decode()

    def _ec2(self) -> Any:
        return boto3.client(
            "ec2",
            region_name="us-east-1",
            endpoint_url=self._stage.aws,
            aws_access_key_id="person",
            aws_secret_access_key="person",
        )

    def terminate(self, instance_id: str) -> None:
        """What a person does in the console: end the box, forget its request."""
        self._ec2().terminate_instances(InstanceIds=[instance_id])

    def keyed(self, key: str, body: Any) -> tuple[int, Any]:
        """A launch with an Idempotency-Key."""
        return self._stage.curfew("POST", "/spot-requests", body, headers={"Idempotency-Key": key})
