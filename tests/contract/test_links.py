"""Links as a deployment makes them: below its address, with a secret that stands in its settings or in SSM."""

import pytest
from botocore.stub import Stubber

from chalicelib import settings
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.links import Claim, Purpose
from chalicelib.gateways.aws import Aws, new_session
from chalicelib.gateways.links import SignedLinks
from chalicelib.ports import Links
from chalicelib.settings import SettingsError
from tests.contract.compute_labs import REGION
from tests.doubles.memory_links import SECRET, MemoryLinks
from tests.doubles.memory_ports import START

CLAIM = Claim(purpose=Purpose.KEEP_4H, lease_id="lease-1", expires_at=START)
LONG = SECRET.decode()
ENVIRONMENT = {"CURFEW_TABLE": "t", "CURFEW_ADMIN_TOKEN_SHA256": "0" * 64}


@pytest.fixture
def aws() -> Aws:
    session = new_session()
    session.set_credentials("testing", "testing")
    return Aws(REGION, session=session)


@pytest.mark.parametrize("address", ["https://curfew.example/prod/", "https://curfew.example/prod"])
def test_what_is_made_is_read(aws: Aws, address: str) -> None:
    """By the gateway and, with its secret, by the twin."""
    links: Links = SignedLinks(aws, public_url=address, secret=LONG)
    url = links.url(CLAIM)
    assert url.startswith("https://curfew.example/prod/snooze/keep4h.")
    token = url.rpartition("/")[2]
    assert links.read(token) == MemoryLinks().read(token) == CLAIM
    assert links.read(token + "x") is None


def test_the_secret_can_stand_in_ssm(aws: Aws) -> None:
    """Read once, when a link is first needed; one that is too short to keep anybody out signs nothing."""
    links = SignedLinks(aws, public_url="https://x", parameter="/curfew/links")
    with Stubber(aws.ssm()) as stubber:
        stubber.add_client_error("get_parameter", "AccessDeniedException", http_status_code=400)
        with pytest.raises(Unavailable, match="/curfew/links: AccessDeniedException"):
            links.url(CLAIM)
        stubber.add_response("get_parameter", {"Parameter": {"Value": "short"}})
        with pytest.raises(Unavailable, match="less than 32"):
            links.url(CLAIM)
        stubber.add_response("get_parameter", {"Parameter": {"Value": LONG}})
        token = links.url(CLAIM).rpartition("/")[2]
        assert links.read(token) == CLAIM


def test_a_secret_that_could_be_guessed_is_refused() -> None:
    """Named with what makes a better one; and no setting's text shows one."""
    with pytest.raises(SettingsError, match="CURFEW_LINK_SECRET has less than 32"):
        settings.read({**ENVIRONMENT, "CURFEW_LINK_SECRET": "sesame"})
    assert LONG not in repr(settings.read({**ENVIRONMENT, "CURFEW_LINK_SECRET": LONG}))


@pytest.mark.parametrize(
    "given, lacking",
    [
        ({}, "CURFEW_PUBLIC_URL and CURFEW_LINK_SECRET"),
        ({"CURFEW_PUBLIC_URL": "https://x"}, "CURFEW_LINK_SECRET"),
        ({"CURFEW_LINK_SECRET": LONG}, "CURFEW_PUBLIC_URL"),
        ({"CURFEW_PUBLIC_URL": "https://x", "CURFEW_LINK_SECRET_PARAMETER": "/curfew/links"}, None),
    ],
)
def test_what_links_lack_is_said(given: dict[str, str], lacking: str | None) -> None:
    """By the names of the settings."""
    told = [
        one["why"]
        for one in settings.read({**ENVIRONMENT, **given}).missing()
        if one["what"] == "links in warnings"
    ]
    assert [why.partition(" not set")[0] for why in told] == ([lacking] if lacking else [])
