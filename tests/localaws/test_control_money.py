"""Money under `/_world`: prices, credits, traffic, Cost Explorer, and the account's part of the truth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.localaws.conftest import Running

POOL = {"zone": "us-east-1a", "type": "g5.xlarge"}


def test_the_truth_tells_what_the_account_owns_and_owes(server: Running) -> None:
    """`bill` by service and usage type, `account_usd` in all, and everything that bills beside instances."""
    server.world("POST", "/instances", {"type": "g5.xlarge"})
    server.advance(3600)
    truth = server.world("GET").body
    assert Decimal(truth["account_usd"]) >= Decimal(truth["billed_usd"]) > 1
    assert "Amazon Elastic Compute Cloud - Compute" in truth["bill"]["services"]
    assert [volume["gib"] for volume in truth["volumes"]] == [8]
    assert {"snapshots", "images", "addresses", "paid_requests"} <= set(truth)


def test_a_series_of_prices_is_played_over_http(server: Running) -> None:
    """Steps with their times, in order; what makes no sense names the field."""
    start = server.world("GET").body["now"]
    steps = [{"at": start, "usd": "0.4"}, {"at": "2099-01-01T00:00:00Z", "usd": "0.5"}]
    assert server.world("POST", "/prices", POOL | {"steps": steps}).body["usd"] == "0.4"
    for wrong in ([], [{"at": "soon", "usd": "1"}], [{"at": start, "usd": "free"}], "none", steps[::-1]):
        answer = server.world("POST", "/prices", POOL | {"steps": wrong})
        assert answer.status == 422
        assert answer.body["field"] in ("steps", "at", "usd")


def test_traffic_and_credits_are_given_over_http(server: Running) -> None:
    """`egress_gb` is sent now; a credit or refund is granted now, and both show in the truth."""
    box = server.world("POST", "/instances", {"type": "g5.xlarge"}).body["id"]
    assert server.world("PUT", f"/instances/{box}", {"egress_gb": 1}).status == 409
    server.advance(120)
    row = server.world("PUT", f"/instances/{box}", {"egress_gb": "150.5", "gpu": 50}).body
    assert (row["egress_gb"], row["gpu"]) == ("150.5", 50)
    server.world("POST", "/credits", {"usd": "100"})
    assert server.world("POST", "/credits", {"usd": 5, "kind": "Refund"}).status == 201
    bill = server.world("GET").body["bill"]
    assert bill["usage_types"]["DataTransfer-Out-Bytes"] == "4.545"
    assert [(one["kind"], one["usd"]) for one in bill["credits"]] == [("Credit", "100"), ("Refund", "5")]


def test_cost_explorer_is_set_over_http(server: Running) -> None:
    """On or off, hourly, the size of its pages, the tags it knows."""
    asked = {"enabled": False, "hourly": True, "page_size": 3, "tags": ["curfew:owner"]}
    assert server.world("PUT", "/cost-explorer", asked).body == asked
    assert server.world("PUT", "/cost-explorer", {"enabled": True}).body["page_size"] == 3


def test_the_free_tier_is_set_over_http(server: Running) -> None:
    """In AWS's own members, offers and plan at once."""
    asked = {"offers": [{"service": "AWS Lambda", "limit": 1e6}], "plan": None}
    assert server.world("PUT", "/free-tier", asked).body == asked


@pytest.mark.parametrize(
    "method, path, body, field",
    [
        ("POST", "/credits", {"usd": -1}, "usd"),
        ("POST", "/credits", {"usd": "much"}, "usd"),
        ("POST", "/credits", {"usd": 1, "kind": "Gift"}, "kind"),
        ("PUT", "/cost-explorer", {"enabled": "yes"}, "enabled"),
        ("PUT", "/cost-explorer", {"page_size": 0}, "page_size"),
        ("PUT", "/cost-explorer", {"tags": "owner"}, "tags"),
        ("PUT", "/free-tier", {"offers": [{"used": 3}]}, "offers"),
        ("PUT", "/free-tier", {"plan": {"accountPlanType": "FREE"}}, "plan"),
        ("POST", "/prices", {"zone": "us-east-1a"}, "type"),
        ("POST", "/prices", POOL | {"usd": "free"}, "usd"),
    ],
)
def test_mistakes_name_the_field(server: Running, method: str, path: str, body: Any, field: str) -> None:
    """422 and the part of the request to change."""
    answer = server.world(method, path, body)
    assert (answer.status, answer.body["field"]) == (422, field)
