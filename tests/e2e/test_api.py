"""The API's manners, on a running server."""

import json

import pytest
import urllib3

from tests.e2e.kit import Lab

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")
JSON = {"Content-Type": "application/json"}


def is_problem(answer: urllib3.BaseHTTPResponse, status: int, slug: str) -> bool:
    """Whether an answer is that problem, whoever gave it: Curfew, or API Gateway by the template."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = json.loads(answer.data)
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == answer.status
    return (answer.status, body["type"]) == (status, f"/problems/{slug}")


def test_a_method_that_a_path_does_not_take_is_a_405_that_names_those_it_takes(lab: Lab) -> None:
    """On every path that GET /openapi.json lists, OPTIONS and TRACE too; HEAD without a body."""
    for path, item in lab.ok("GET", "/openapi.json")["paths"].items():
        for method in {*METHODS} - {one.upper() for one in item}:
            answer = lab.raw(method, path.replace("{", "").replace("}", ""))
            allowed = {one.strip() for one in answer.headers["Allow"].split(",")}
            assert allowed == {one.upper() for one in item}, (method, path)
            assert answer.status == 405, (method, path)
            assert method == "HEAD" or is_problem(answer, 405, "method-not-allowed")


def test_what_never_reaches_curfew_is_a_problem_too(lab: Lab) -> None:
    """API Gateway's own 404, 413, 429 and 504 are worded by the template; a 429 says when to ask again."""
    assert is_problem(lab.raw("POST", "/nothing", b"{}", JSON), 404, "not-found")
    assert is_problem(lab.raw("POST", "/sweeps", b" " * (10 * 1024 * 1024 + 1), JSON), 413, "body-too-large")
    lab.fault(service="api", code="429", times=1)
    throttled = lab.raw("GET", "/leases")
    assert is_problem(throttled, 429, "too-many-requests")
    assert throttled.headers["Retry-After"] == "1"
    lab.fault(service="api", code="504", times=1)
    assert is_problem(lab.raw("GET", "/leases"), 504, "no-answer")


def test_a_launch_whose_answer_was_lost_on_the_way_is_answered_by_its_key(lab: Lab) -> None:
    """504 from API Gateway, the box runs: the same call with the same key says which, and starts no other."""
    body = {"instance_types": ["g5.xlarge"], "image": "ami-0123456789abcdef0", "egress_gb": 0}
    lab.fault(service="api", operation="POST", code="504", times=1)
    assert lab.keyed("tuesday", body)[0] == 504
    status, lease = lab.keyed("tuesday", body)
    assert (status, lab.alive()) == (201, set(lease["instance_ids"]))


def test_bodies_have_bounds_and_forms(lab: Lab) -> None:
    """413 over 128 KB, 415 for what says that it is no JSON, and JSON by whatever name curl -d gives it."""
    much = json.dumps({"dry_run": True, "x": "x" * 128 * 1024}).encode()
    assert is_problem(lab.raw("POST", "/sweeps", much, JSON), 413, "body-too-large")
    xml = {"Content-Type": "application/xml"}
    assert is_problem(lab.raw("POST", "/sweeps", b"<a/>", xml), 415, "unsupported-media-type")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert lab.raw("POST", "/sweeps", b'{"dry_run": true}', form).status == 200
    assert is_problem(lab.raw("POST", "/sweeps", b"dry_run=true", form), 400, "bad-json")


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
        "gpus": 1,
    }
    status, problem = lab.api("POST", "/spot-requests", body)
    assert status == 422
    assert {error["field"] for error in problem["errors"]} >= {"image", "hours", "sync_to", "gpus"}
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
