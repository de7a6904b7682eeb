"""A region that AWS does not let the account use: said as that, not as a service that is down."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.launch_refusals import region_denied
from chalicelib.ports import Services

BY_EC2 = frozenset({"AuthFailure", "OptInRequired", "UnauthorizedOperation"})
BY_SSM = frozenset({"AccessDeniedException", "InvalidClientTokenId", "UnrecognizedClientException"})
"""What AWS answers by policy, and in a region that is not enabled, where it does not know the account's credentials.
The table says what SSM says, so that is told apart by who was asked."""
UNREACHED = frozenset({"EndpointConnectionError", "ConnectTimeoutError"})
"""Nothing answers by that name: there may be no such region."""


@contextmanager
def explained(services: Services, region: str, *, asks_ssm: bool = False) -> Iterator[None]:
    """For calls to EC2 of one region, and with `asks_ssm` to SSM and never to the table: raises Refused
    (`region-denied`) in the place of Unavailable where AWS denies the region, or knows none of that name."""
    try:
        yield
    except Unavailable as error:
        code = str(error.extra.get("code", ""))
        denied = BY_EC2 | BY_SSM if asks_ssm else BY_EC2
        if code in denied or (code in UNREACHED and not is_enabled(services, region)):
            raise region_denied(region, error.detail) from error
        raise


def is_enabled(services: Services, region: str) -> bool:
    """Whether the account has a region; also where that is not known: then EC2 is down."""
    with suppress(Unavailable):
        return region in services.compute.regions()
    return True
