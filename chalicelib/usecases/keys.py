"""Key pairs: list them, bring one's own or have one made, and know before a launch that its key is there."""

from contextlib import suppress

from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.keys import KeyPair, KeyType, NewKeyPair, checked
from chalicelib.domain.lease import LaunchOrder
from chalicelib.ports import Services
from chalicelib.usecases.regions import explained


def pairs(services: Services, region: str, *, only: str | None = None) -> list[KeyPair]:
    """Those of a region, whoever made them; with `only` those that are tagged as that owner's. Raises Refused
    (`region-denied`), Unavailable."""
    with explained(services, region):
        return [pair for pair in services.keys.pairs(region) if only in {None, pair.owner}]


def bring(
    services: Services, *, region: str, name: str, public_key: str, kind: KeyType | None, owner: str
) -> KeyPair:
    """Import a public key, which has to be of a `kind` where one is named. Raises Refused (`bad-key`, `key-exists`),
    Unavailable."""
    found, line = checked(public_key)
    if kind not in {None, found}:
        raise Refused(
            f"public_key is of the type {found}, and type says {kind}. Nothing was imported: leave type out",
            slug="bad-key",
        )
    _enforced(services)
    with explained(services, region):
        return services.keys.bring(region, name, line, owner=owner)


def make(services: Services, *, region: str, name: str, kind: KeyType, owner: str) -> NewKeyPair:
    """Have EC2 make one; its private part is in the answer and nowhere else. Raises Refused, Unavailable."""
    _enforced(services)
    with explained(services, region):
        return services.keys.make(region, name, kind, owner=owner)


def is_there(services: Services, order: LaunchOrder) -> None:
    """Raises Refused where the order's key is not in its region, with the regions that have one of that name. Where EC2
    does not answer now, its own answer to the launch decides."""
    if order.key_name is None:
        return
    with suppress(Unavailable):
        if services.keys.has(order.region, order.key_name):
            return
        elsewhere = _elsewhere(services, order.region, order.key_name)
        raise Refused(
            f"{order.region} has no key pair {order.key_name!r}; nothing was launched. {_where(elsewhere)}. Key pairs "
            "are a region's own: POST /key-pairs imports a public key into another one",
            slug="key-not-found",
            regions=list(elsewhere),
        )


def _elsewhere(services: Services, region: str, name: str) -> tuple[str, ...]:
    with suppress(Unavailable):
        others = [one for one in services.regions or services.compute.regions() if one != region]
        return services.keys.regions_with(name, others)
    return ()


def _where(elsewhere: tuple[str, ...]) -> str:
    return (
        f"There is one in {', '.join(elsewhere)}" if elsewhere else "None was found in other regions either"
    )


def _enforced(services: Services) -> None:
    if services.is_dry_run:
        raise Refused(
            "Curfew is in dry-run: no key pair was made. Deploy with Mode=enforce, or make it in EC2's console",
            slug="dry-run",
        )
