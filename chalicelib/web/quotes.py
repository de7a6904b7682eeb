"""GET /quotes: from the query to a wish, and from its quote to the answer."""

from chalicelib.usecases.quotes import MarketQuote, Wish
from chalicelib.web.encode import JsonValue, plain
from chalicelib.web.models import QuoteQuery, length_of
from chalicelib.web.views import objection


def wish_of(query: QuoteQuery, *, home_region: str) -> Wish:
    """What is asked about, in the home region where none is named."""
    return Wish(
        instance_type=query.instance_type,
        region=query.region or home_region,
        lasts_for=None if query.hours is None else length_of(query.hours),
        target_capacity=query.target_capacity,
        volume_gib=query.volume_gib,
        egress_gb=query.egress_gb,
        max_price_usd_per_hour=query.max_price_usd_per_hour,
    )


def view(told: MarketQuote) -> JsonValue:
    """Prices per hour of one box, the hold of all of them with what it consists of, and what speaks against it."""
    order, hold = told.order, told.hold
    return plain(
        {
            "instance_type": order.instance_types[0],
            "region": order.region,
            "runs_for": order.lasts_for,
            "target_capacity": order.target_capacity,
            "volume_gib": order.volume_gib,
            "egress_gb": order.egress_gb,
            "zones": [
                {
                    "zone": one.zone,
                    "spot_usd_per_hour": one.spot_usd,
                    "p50_usd_per_hour": one.p50_usd,
                    "p90_usd_per_hour": one.p90_usd,
                    "since": one.since,
                }
                for one in told.zones
            ],
            "on_demand_usd_per_hour": told.on_demand_usd,
            "prices_as_of": told.origin.as_of,
            "prices_from": told.origin.source,
            "price_cap_usd_per_hour": told.price_cap_usd,
            "hold_usd": told.hold_usd,
            "hold": {
                "compute_usd": hold.compute_usd,
                "storage_usd": hold.storage_usd,
                "public_ipv4_usd": hold.public_ipv4_usd,
                "egress_usd": hold.egress_usd,
                "margin_usd": told.margin_usd,
            },
            "margin": told.margin_for,
            "lacking": told.lacking,
            "objections": [objection(each) for each in told.objections],
        }
    )
