"""The rooms of the house hold: imports point inwards, and each reader of the world has one place."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, Source, product, source, sources

TRIGGERS = (
    "authorizer",
    "lambda_function",
    "on_cw_event",
    "on_dynamodb_record",
    "on_kinesis_record",
    "on_s3_event",
    "on_sns_message",
    "on_sqs_message",
    "on_ws_message",
    "route",
    "schedule",
)


def test_imports_point_inwards() -> None:
    """import-linter's contracts in pyproject.toml are kept."""
    linter = Path(sys.executable).parent / "lint-imports"
    outcome = subprocess.run(
        [linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_only_settings_reads_the_environment() -> None:
    """`os.environ` and `os.getenv` occur in chalicelib/settings.py and nowhere else that ships."""
    found = [
        place
        for file in product()
        if file.path != "chalicelib/settings.py"
        for place in file.places("os.environ", "os.environb", "os.getenv")
    ]
    assert found == []


def test_only_the_clock_gateway_reads_the_time() -> None:
    """The present comes from the Clock port, so that a run can be replayed."""
    found = [
        place
        for file in product()
        if file.path != "chalicelib/gateways/clock.py"
        for place in file.places(
            "datetime.date.today",
            "datetime.datetime.now",
            "datetime.datetime.today",
            "datetime.datetime.utcnow",
            "time.gmtime",
            "time.localtime",
            "time.time",
            "time.time_ns",
        )
    ]
    assert found == []


def test_every_trigger_is_declared_in_app_py() -> None:
    """A schedule in a Blueprint deploys with a handler that never imports app.py; local tests pass all the same."""
    found = [
        f"{file.path}:{line} {name}"
        for file in sources("chalicelib")
        for name, line in file.dotted_uses()
        if name.startswith("chalice.Blueprint") or ("." in name and name.rpartition(".")[2] in TRIGGERS)
    ]
    assert found == []


def test_app_py_declares_the_functions_others_rely_on() -> None:
    """The template, localaws and the tests find these functions by name."""
    declared = {
        f"{decorator.func.attr}:{node.name}"
        for node in source(ROOT / "app.py").tree.body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)
    }
    assert {"schedule:sweep", "on_sqs_message:on_ec2_event"} <= declared
    assert any(name.startswith("route:") for name in declared)


def test_no_test_patches_what_it_tests() -> None:
    """Doubles are passed in through the ports; `mock.patch` ties a test to the lines it should judge."""
    named = [path for path in (ROOT / "tests").rglob("*.py") if "mock" in path.read_text()]
    found = [place for path in named for place in source(path).places("unittest.mock", "mock")]
    assert found == []


def test_no_code_asks_whether_it_runs_locally() -> None:
    """One code path everywhere: AWS_ENDPOINT_URL is botocore's own to read."""
    words = ("AWS_CHALICE_CLI_MODE", "AWS_ENDPOINT_URL", "localaws")
    found = [
        f"{file.path} says {word}"
        for file in product()
        for word in words
        if word in (ROOT / file.path).read_text()
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import os\nx = os.environ['A']",
        "from os import environ as e\ne.get('A')",
        "import os as o\no.environ.get('A')",
    ],
)
def test_the_reading_of_sources_sees_through_imports(code: str) -> None:
    """Renaming an import hides nothing from these tests."""
    assert Source(path="x.py", tree=ast.parse(code)).places("os.environ")
