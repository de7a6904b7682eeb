"""GET /quotes over HTTP: what is answered, and what is refused with which field."""

import pytest

from tests.unit.web_kit import World, open_world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return open_world(monkeypatch)


def test_a_quote_says_what_it_consists_of(world: World) -> None:
    """Every key that the documents name; the parts of the hold add up."""
    world.services.prices.set_spot("us-east-1a", "g5.xlarge", "0.4")  # type: ignore[attr-defined]
    status, body = world("GET", "/quotes?instance_type=g5.xlarge&hours=10&target_capacity=2&volume_gib=50")
    assert status == 200, body
    assert (body["instance_type"], body["region"], body["runs_for"]) == ("g5.xlarge", "us-east-1", "PT10H")
    assert (body["target_capacity"], body["volume_gib"], body["egress_gb"]) == (2, 50, 50)
    assert (body["on_demand_usd_per_hour"], body["price_cap_usd_per_hour"]) == ("1.006", "1.006")
    assert (body["prices_as_of"], body["prices_from"]) == ("2026-11-01", "table of us-east-1")
    parts = ["compute_usd", "storage_usd", "public_ipv4_usd", "egress_usd", "margin_usd"]
    assert set(parts) == set(body["hold"])
    cents = {name: round(float(usd) * 100) for name, usd in body["hold"].items()}
    assert sum(cents.values()) == round(float(body["hold_usd"]) * 100)
    assert cents["compute_usd"] == 2012
    assert (body["margin"], body["lacking"]) == ("PT15M", [])


def test_a_quote_shows_each_zone(world: World) -> None:
    """Spot now, and what was enough for half and for nine tenths of 30 days."""
    prices = world.services.prices
    prices.set_spot("us-east-1a", "g5.xlarge", "0.4", at=world.clock.now().replace(day=1))  # type: ignore[attr-defined]
    _, body = world("GET", "/quotes?instance_type=g5.xlarge")
    assert body["zones"] == [
        {
            "zone": "us-east-1a",
            "spot_usd_per_hour": "0.4",
            "p50_usd_per_hour": "0.4",
            "p90_usd_per_hour": "0.4",
            "since": "2026-11-01T09:00:00Z",
        }
    ]


def test_a_quote_longer_than_any_lease_may_be_says_so(world: World) -> None:
    """Its price is told all the same, beside the problem that the launch would answer."""
    status, body = world("GET", "/quotes?instance_type=g5.xlarge&hours=73")
    assert status == 200
    assert float(body["hold_usd"]) > 73
    (problem,) = body["objections"]
    assert problem["type"] == "/problems/lease-limit"
    assert "72" in problem["detail"]
    _, body = world("GET", "/quotes?instance_type=g5.xlarge&hours=72")
    assert body["objections"] == []


@pytest.mark.parametrize(
    "region, objections", [("us-east-1", []), ("us-east-9", ["/problems/region-denied"])]
)
def test_a_quote_for_a_region_that_the_account_has_not_says_so(
    world: World, region: str, objections: list[str]
) -> None:
    """EC2 that is down objects to nothing; a region that is misspelt has twice a price of elsewhere, and no launches."""
    world.services.prices.is_down = True  # type: ignore[attr-defined]
    status, body = world("GET", f"/quotes?instance_type=g5.xlarge&region={region}")
    assert (status, [one["type"] for one in body["objections"]]) == (200, objections)
    assert body["lacking"]


@pytest.mark.parametrize(
    "query, field",
    [
        ("", "instance_type"),
        ("instance_type=G5", "instance_type"),
        ("instance_type=g5.xlarge&hours=0", "hours"),
        ("instance_type=g5.xlarge&hours=soon", "hours"),
        ("instance_type=g5.xlarge&hours=NaN", "hours"),
        ("instance_type=g5.xlarge&region=Dublin", "region"),
        ("instance_type=g5.xlarge&target_capacity=0", "target_capacity"),
        ("instance_type=g5.xlarge&volume_gib=-1", "volume_gib"),
        ("instance_type=g5.xlarge&egress_gb=x", "egress_gb"),
        ("instance_type=g5.xlarge&max_price_usd_per_hour=0", "max_price_usd_per_hour"),
        ("instance_type=g5.xlarge&image=ami-1", "image"),
    ],
)
def test_a_bad_query_names_its_field(world: World, query: str, field: str) -> None:
    """422, with the field and what it takes."""
    status, body = world("GET", f"/quotes?{query}")
    assert (status, body["type"]) == (422, "/problems/invalid")
    assert [error["field"] for error in body["errors"]] == [field]


def test_a_type_without_a_price_is_a_conflict(world: World) -> None:
    """409, as for the launch."""
    status, body = world("GET", "/quotes?instance_type=q9.large")
    assert (status, body["type"], body["instance_types"]) == (409, "/problems/price-unknown", ["q9.large"])
