"""The instance types of an order that says which GPUs it needs."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from chalicelib.domain.accelerators import X86_64, family
from chalicelib.domain.catalogue import DEEP_LEARNING, FAMILIES
from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.gpus import GpuNeed, GpuType, cheapest, fitting, nearest
from chalicelib.domain.lease import LaunchOrder
from chalicelib.domain.prices import PriceBook
from chalicelib.ports import Services

MOST_ASKED = 30
"""Of so many types, the cheapest by the list, EC2 is asked for the spot price."""
MOST_UNPRICED = 10
ASK_SECONDS = 3.0


def with_types(services: Services, order: LaunchOrder, *, architecture: str | None) -> LaunchOrder:
    """The order with the types that have the GPUs it needs and an image's processor, cheapest now first; as it is where
    it names its types. Raises Refused where there are none."""
    if order.gpu is None or order.instance_types:
        return order
    there = services.compute.gpu_types(order.region)
    usable = tuple(one for one in there.types if _runs(order.image, one, architecture))
    fit = fitting(order.gpu, usable)
    if not fit:
        raise _none(order, order.gpu, usable, lacking=there.lacking)
    fit = _of_one_processor(fit) if order.image == DEEP_LEARNING else fit
    prices = _priced(services, order.region, fit)
    known = sorted(
        (one for one in fit if prices.knows(one.instance_type, order.region)),
        key=lambda one: prices.on_demand_usd(one.instance_type, order.region),
    )
    if not known:
        raise _unpriced(order, fit)
    chosen = cheapest(
        known[:MOST_ASKED],
        on_demand=lambda name: prices.on_demand_usd(name, order.region),
        spot=_spot(services, order.region, known[:MOST_ASKED]),
        cap_usd=order.max_price_usd_per_hour,
    )
    return replace(order, instance_types=tuple(one.instance_type for one in chosen))


def _runs(image: str, one: GpuType, architecture: str | None) -> bool:
    """Whether an image runs on a type: AWS's deep-learning ones have drivers for some families alone."""
    if image == DEEP_LEARNING:
        return family(one.instance_type) in FAMILIES
    return one.architecture == (architecture or X86_64)


def _of_one_processor(fit: tuple[GpuType, ...]) -> tuple[GpuType, ...]:
    """One image has to run on all of them; what most software is built for goes first."""
    return tuple(one for one in fit if one.architecture == X86_64) or fit


def _priced(services: Services, region: str, fit: tuple[GpuType, ...]) -> PriceBook:
    prices = services.prices.on_demand()
    unknown = [(region, one.instance_type) for one in fit if not prices.knows(one.instance_type, region)]
    if not unknown:
        return prices
    services.prices.refresh(unknown[:MOST_UNPRICED], now=services.clock.now(), only_unknown=True)
    return services.prices.on_demand()


def _spot(services: Services, region: str, types: list[GpuType]) -> Mapping[str, Mapping[str, Decimal]]:
    """What they cost on spot now, nothing where that is not known in time."""
    if services.patience(ASK_SECONDS) < ASK_SECONDS:
        return {}
    try:
        return services.prices.spot_now(
            region, [one.instance_type for one in types], now=services.clock.now()
        )
    except Unavailable:
        return {}


def _none(
    order: LaunchOrder, need: GpuNeed, usable: tuple[GpuType, ...], *, lacking: tuple[str, ...]
) -> Refused:
    near = nearest(need, usable)
    told = "; ".join(
        f"{one.instance_type} has {one.gpus} × {one.manufacturer} {one.name} with {one.memory_gib} GiB each"
        for one in near
    )
    return Refused(
        f"no type that runs {order.image} on spot in {order.region} has {_said(need)}; nothing was launched. Nearest: "
        f"{told or 'none at all'}. memory_gib is of each GPU. Ask for less, for another region, or name instance_types"
        f"{'. What EC2 offers is not known now: ' + ', '.join(lacking) if lacking else ''}",
        slug="no-such-gpu",
        nearest=[
            {
                "instance_type": one.instance_type,
                "count": one.gpus,
                "memory_gib": one.memory_gib,
                "name": one.name,
                "manufacturer": one.manufacturer,
            }
            for one in near
        ],
    )


def _said(need: GpuNeed) -> str:
    kind = " ".join(part for part in (need.manufacturer, need.name) if part)
    memory = f" with {need.memory_gib} GiB or more each" if need.memory_gib else ""
    return f"{need.count} or more {kind + ' ' if kind else ''}GPUs{memory}"


def _unpriced(order: LaunchOrder, fit: tuple[GpuType, ...]) -> Refused:
    names = [one.instance_type for one in fit]
    return Refused(
        f"no on-demand price is known in {order.region} for what has these GPUs ({', '.join(names[:MOST_UNPRICED])}), "
        "so the worst case can't be held; nothing was launched. Ask for other GPUs, or for another region",
        slug="price-unknown",
        instance_types=names,
    )
