"""The very script of a launched box, in a real shell, against Curfew on localaws over HTTP."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import urllib3

from localaws.demo.stage import Stage
from tests.e2e.kit import Lab
from tests.guest_kit import GuestBox, Net, served

SHORT = {"after": "PT6M", "warn_before": "PT2M", "after_launch": "PT0S"}
LOOKED = timedelta(seconds=40)
"""So long a look takes, of the box's minute."""


def test_a_box_without_an_agent_ends_for_what_it_tells_itself(lab: Lab, stage: Stage, tmp_path: Path) -> None:
    """At work, then silent for six minutes: warned and ended, though CloudWatch knows nothing of it."""
    pool = urllib3.PoolManager()
    lab.policy(idle=SHORT)
    (box_id,) = lab.launch(gpu=None)["instance_ids"]

    def door(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        kept = {name: value for name, value in headers.items() if name != "Host"}
        answer = pool.request(method, f"{stage.api}{path}", body=body, headers=kept)
        return answer.status, answer.data

    def now() -> datetime:
        return lab.now.astimezone(UTC) + LOOKED

    with served(Net(door=door, now=now, instance_id=box_id)) as net:
        box = GuestBox(tmp_path, net, booted_at=now())
        box.install(lab.user_data(box_id).replace(stage.api, net.url))
        box.works(90)
        for minute in range(1, 13):
            lab.minutes(1)
            if minute > 3:
                box.works(0)
            if lab.state(box_id) != "running":
                break
            box.tick()
        assert set(net.codes) == {200}
    lab.minutes(2)
    (receipt,) = lab.receipts()
    assert receipt["cause"] == "idle"
    assert receipt["reason"].startswith("heartbeat: GPU at 0 %")
    assert len(lab.said(box_id, "will end")) == 1
