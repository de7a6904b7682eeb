"""The API's manners, on a running server."""

import pytest

from tests.e2e.kit import Lab


@pytest.mark.parametrize("path", ["/nothing", "/leases/x/y", "/heartbeats/x"])
def test_a_path_that_is_not_built_is_a_404_problem(lab: Lab, path: str) -> None:
    """Unknown paths answer as API Gateway does by the template: 404, problem+json, with nothing of the request in it."""
    status, problem = lab.api("GET", path)
    assert (status, problem["type"]) == (404, "/problems/not-found")
    assert "Bearer" not in str(problem)


@pytest.mark.parametrize(
    "path", ["/leases/lease-0", "/instances/i-0123456789abcdef0", "/spot-requests/sir-12345678"]
)
def test_deleting_what_is_not_there_is_a_404_problem(lab: Lab, path: str) -> None:
    """An id that names nothing ends nothing, and the answer says so."""
    status, problem = lab.api("DELETE", path)
    assert (status, problem["status"]) == (404, 404)


def test_a_bad_launch_names_each_field(lab: Lab) -> None:
    """422 lists every bad field with what to send instead; nothing is launched."""
    body = {
        "instance_types": ["not a type"],
        "image": "nvidia",
        "hours": -1,
        "sync_to": "s3://x",
        "gpu": {"count": 1},
    }
    status, problem = lab.api("POST", "/spot-requests", body)
    assert status == 422
    assert {error["field"] for error in problem["errors"]} >= {"image", "hours", "sync_to", "gpu"}
    assert lab.truth["instances"] == []


def test_an_image_of_another_region_is_refused_before_anything_is_held(lab: Lab) -> None:
    """AMI ids differ by region: 409 image-not-found."""
    body = {"instance_types": ["g5.xlarge"], "image": "ami-0123456789abcdead"}
    status, problem = lab.api("POST", "/spot-requests", body)
    assert (status, problem["type"]) == (409, "/problems/image-not-found")
    assert lab.ok("GET", "/leases")["items"] == []


def test_health_lists_what_is_missing_and_not_enforced(lab: Lab) -> None:
    """What is not built is said, with the reason."""
    health = lab.ok("GET", "/health")
    assert "timers" not in {one["what"] for one in health["missing"]}
    assert "scope.accounts" in health["not_enforced"]
    assert health["regions"] == {"us-east-1": "ok", "eu-west-1": "ok"}


def test_a_dry_run_sweep_changes_nothing(lab: Lab) -> None:
    """POST /sweeps {"dry_run": true} says what would end; it runs on, and no receipt is kept."""
    lab.policy(idle={"after": "PT30M", "warn_before": "PT0S"})
    (box,) = lab.launch()["instance_ids"]
    lab.policy(idle={"after": "PT2H", "warn_before": "PT0S"})
    lab.minutes(40)
    lab.policy(idle={"after": "PT30M", "warn_before": "PT0S"})
    calls = len(lab.truth["calls"])
    sweep = lab.ok("POST", "/sweeps", {"dry_run": True})
    assert sweep["is_dry_run"]
    assert len(sweep["ended"]) == 1
    assert (lab.state(box), len(lab.truth["calls"]), lab.receipts()) == ("running", calls, [])
