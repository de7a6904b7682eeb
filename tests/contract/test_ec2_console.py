"""The console of a box: the gateway on localaws."""

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.host_keys import fingerprints
from chalicelib.gateways.aws import HURRIED
from localaws.operations.console import fingerprint
from tests.contract.compute_labs import REGION, opened, stubbed


def test_host_keys_are_on_the_console_once_a_box_has_booted() -> None:
    """Nothing at first; later what cloud-init prints, for ever the same."""
    with opened("localaws") as lab:
        box = lab.start()
        assert fingerprints(lab.compute.console(REGION, box)) == ()
        lab.wait(120)
        told = fingerprints(lab.compute.console(REGION, box))
        assert f"ED25519 {fingerprint(box, 'ed25519')}" in told
        assert len(told) == 3
        lab.wait(600)
        assert fingerprints(lab.compute.console(REGION, box)) == told
        with pytest.raises(Unavailable, match="console of i-0dead"):
            lab.compute.console(REGION, "i-0deaddeaddeaddead")


def test_older_types_are_asked_for_what_ec2_keeps() -> None:
    """They refuse the latest output; a box that has none yet answers without any."""
    compute, stubber = stubbed(HURRIED)
    asked = {"InstanceId": "i-1"}
    stubber.add_client_error(
        "get_console_output", "UnsupportedOperation", expected_params={**asked, "Latest": True}
    )
    stubber.add_response("get_console_output", {"InstanceId": "i-1"}, asked)
    assert compute.console(REGION, "i-1") == ""
    stubber.assert_no_pending_responses()
