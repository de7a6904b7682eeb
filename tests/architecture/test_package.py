"""`make package` writes what AWS takes: small, complete, one handler a function, every name wired."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest

from chalicelib.web.problems import TITLES
from tests.architecture.sources import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import package as packaging

pytestmark = pytest.mark.slow

RESOURCES: dict[str, Any] = json.loads((ROOT / ".chalice" / "resources.json").read_text())
CONFIG: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())


# What Lambda's Python runtime has on its path, and pydantic's native half.
LAMBDAS_OWN = ("boto3", "botocore", "dateutil", "jmespath", "pydantic_core", "s3transfer", "six", "urllib3")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the tree as it is, made the way `make package` makes it."""
    out = tmp_path_factory.mktemp("package")
    command = [sys.executable, str(ROOT / "tools" / "package.py"), "prod", "--out", str(out)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert re.fullmatch(r"[0-9.]+ MB deployment.zip, .*", outcome.stdout.splitlines()[-1])
    return out


@pytest.fixture(scope="module")
def template(packaged: Path) -> dict[str, Any]:
    """The packaged template."""
    return dict(json.loads((packaged / "sam.json").read_text()))


def test_the_package_is_fit_to_run(packaged: Path, template: dict[str, Any]) -> None:
    """No tool, test or simulator in the zip, native code for the function's processor, sizes within bounds."""
    assert packaging.problems(packaged / "deployment.zip", template) == []


def test_the_zip_holds_all_of_the_product_and_nothing_else_of_the_repository(packaged: Path) -> None:
    """Every file below chalicelib/ that isn't byte code ships, data files too."""
    with zipfile.ZipFile(packaged / "deployment.zip") as archive:
        shipped = {name for name in archive.namelist() if name.startswith("chalicelib/") or name == "app.py"}
        top = {name.partition("/")[0] for name in archive.namelist()}
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "chalicelib").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert shipped == ours | {"app.py"}
    assert {name for name in top if (ROOT / name).exists()} == {"app.py", "chalicelib"}


def test_the_shipped_code_imports_with_nothing_but_what_lambda_brings(
    packaged: Path, template: dict[str, Any], tmp_path: Path
) -> None:
    """Every handler is there, from the zip and boto3 alone, with no setting in the environment and none read."""
    shipped, lambdas_own = tmp_path / "shipped", tmp_path / "lambdas_own"
    with zipfile.ZipFile(packaged / "deployment.zip") as archive:
        archive.extractall(shipped)
    lambdas_own.mkdir()
    for name in LAMBDAS_OWN:
        (found,) = (path for path in Path(boto3.__file__).parents[1].iterdir() if path.stem == name)
        (lambdas_own / found.name).symlink_to(found)
    # This machine's processor may not be the function's: its own pydantic_core stands in for the shipped one.
    shutil.rmtree(shipped / "pydantic_core")
    handlers = [properties["Handler"] for properties in packaging.functions(template).values()]
    code = f"import sys; sys.path[:0] = {[str(shipped), str(lambdas_own)]}; import app; print({', '.join(handlers)})"
    outcome = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr


def test_every_function_is_declared_with_its_policy_and_its_queue(template: dict[str, Any]) -> None:
    """A function that config.json doesn't know gets Chalice's defaults: 60 s, 128 MB and no rights."""
    handlers = {properties["Handler"] for properties in packaging.functions(template).values()}
    assert handlers == {"app.app"} | {
        f"app.{name}" for name in CONFIG["lambda_functions"] if name != "api_handler"
    }
    queue = template["Resources"]["OnEc2Event"]["Properties"]["Events"]["OnEc2EventSqsEventSource"][
        "Properties"
    ]["Queue"]
    assert queue == {"Fn::Sub": "${CurfewEc2Events.Arn}"}, "the mapping must wait for the queue"


def test_a_message_outlives_its_function(template: dict[str, Any]) -> None:
    """SQS refuses a queue whose messages come back while the function still works on them."""
    timeout = template["Resources"]["OnEc2Event"]["Properties"]["Timeout"]
    assert template["Resources"]["CurfewEc2Events"]["Properties"]["VisibilityTimeout"] >= 6 * timeout


def test_events_leave_room_for_the_sweep(template: dict[str, Any]) -> None:
    """However many come at once, two functions work them off: a new account runs ten at a time in all."""
    source = template["Resources"]["OnEc2Event"]["Properties"]["Events"]["OnEc2EventSqsEventSource"]
    assert source["Properties"]["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_whoever_floods_the_api_takes_no_room_from_the_sweep(template: dict[str, Any]) -> None:
    """Some routes are public and all functions of an account share its places, ten in a new one: 50 calls a second get in."""
    (settings,) = template["Resources"]["RestAPI"]["Properties"]["MethodSettings"]
    assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (50, 200)


def test_every_method_of_a_path_reaches_the_function(template: dict[str, Any]) -> None:
    """It answers 405 with those that the path takes; API Gateway alone would say that there is no such path."""
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    for path, methods in paths.items():
        answers = {json.dumps(one["x-amazon-apigateway-integration"]) for one in methods.values()}
        assert ("x-amazon-apigateway-any-method" in methods, len(answers)) == (True, 1), path


@pytest.mark.parametrize("kind", sorted(RESOURCES["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]))
def test_what_api_gateway_answers_by_itself_is_a_documented_problem(kind: str) -> None:
    """In the words of Curfew's own; a 429 says when to ask again."""
    declared = RESOURCES["Resources"]["RestAPI"]["Properties"]["GatewayResponses"][kind]
    (text,) = declared["ResponseTemplates"].values()
    problem = json.loads(text)
    headers = declared["ResponseParameters"]["Headers"]
    assert problem["title"] == TITLES[problem["type"].removeprefix("/problems/")]
    assert problem["status"] == declared["StatusCode"]
    assert headers["Content-Type"] == "'application/problem+json'"
    assert ("Retry-After" in headers) == (problem["status"] == 429)


def test_no_answer_of_api_gateways_is_left_as_it_is() -> None:
    """Those that are not named fall back on one of their class."""
    named = set(RESOURCES["Resources"]["RestAPI"]["Properties"]["GatewayResponses"])
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "MISSING_AUTHENTICATION_TOKEN", "RESOURCE_NOT_FOUND"} <= named
    assert {"REQUEST_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "THROTTLED", "QUOTA_EXCEEDED"} <= named
    assert {"INTEGRATION_TIMEOUT", "INTEGRATION_FAILURE"} <= named


def test_a_scheduled_sweep_that_failed_is_not_repeated(template: dict[str, Any]) -> None:
    """The next one comes within a minute; Lambda's own retries would pile up for six hours."""
    retries = template["Resources"]["Sweep"]["Properties"]["EventInvokeConfig"]
    assert retries == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}


def test_every_setting_of_the_template_is_one_that_settings_reads() -> None:
    """A misspelt variable would be off in silence."""
    given = set(RESOURCES["Globals"]["Function"]["Environment"]["Variables"])
    given |= {name for stage in CONFIG["stages"].values() for name in stage.get("environment_variables", {})}
    text = (ROOT / "chalicelib" / "settings.py").read_text()
    assert {name for name in given if f'"{name}"' not in text} == set()
    assert {"CURFEW_TABLE", "CURFEW_ADMIN_TOKEN_SHA256"} <= given


def test_a_stack_starts_in_dry_run_and_unarmed() -> None:
    """Nothing is ended before somebody asked for it."""
    assert RESOURCES["Parameters"]["Mode"]["Default"] == "dry-run"
    assert RESOURCES["Parameters"]["Armed"]["Default"] == "false"


def test_secrets_do_not_show_in_the_stack() -> None:
    """Parameters that hold one are NoEcho, and no stage carries one in plain text."""
    assert all(
        RESOURCES["Parameters"][name]["NoEcho"] is True
        for name in ("AdminTokenSha256", "LinkSecret", "SlackWebhookUrl")
    )
    for stage in CONFIG["stages"].values():
        assert not [
            name for name in stage.get("environment_variables", {}) if re.search("TOKEN|SECRET|SLACK", name)
        ]


def test_records_survive_the_stack() -> None:
    """Deleting the stack keeps the table and the log: they are the proof of what was ended and why."""
    for name in ("CurfewTable", "CurfewLogs"):
        assert RESOURCES["Resources"][name]["DeletionPolicy"] == "Retain"
        assert RESOURCES["Resources"][name]["UpdateReplacePolicy"] == "Retain"


def test_the_rule_and_its_forwarders_ask_for_the_same_events() -> None:
    """An event that only one of them knows never arrives."""
    home = RESOURCES["Resources"]["CurfewEc2EventsRule"]["Properties"]["EventPattern"]
    forwarder = json.loads((ROOT / ".chalice" / "forwarder.json").read_text())
    away = forwarder["Resources"]["ForwarderRule"]["Properties"]["EventPattern"]
    assert {key: away[key] for key in home} == home


def test_the_forwarder_is_a_valid_template() -> None:
    """cfn-lint accepts it."""
    command = [str(packaging.TOOLS / "cfn-lint"), str(ROOT / ".chalice" / "forwarder.json")]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout


class TestAPackageIsRefused:
    """The checks of `make package`, each with a package that must not pass it."""

    FIT = ("app.py", "chalice/app.py", "pydantic_core/_pydantic_core.cpython-311-aarch64-linux-gnu.so")
    TEMPLATE: ClassVar[dict[str, Any]] = {
        "Resources": {
            "Sweep": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"Handler": "app.sweep", "Runtime": "python3.11", "Architectures": ["arm64"]},
            }
        }
    }

    def refusals(self, tmp_path: Path, *names: str, template: dict[str, Any] | None = None) -> str:
        """What is said of a zip with these names."""
        path = tmp_path / "deployment.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "x")
        return "\n".join(packaging.problems(path, template or self.TEMPLATE))

    def test_a_fit_one_passes(self, tmp_path: Path) -> None:
        """The other cases differ from this one in one thing."""
        assert self.refusals(tmp_path, *self.FIT) == ""

    @pytest.mark.parametrize(
        "extra", ["botocore/session.py", "pip-23.dist-info/RECORD", "localaws/x.py", "chalicelib/x.pyc"]
    )
    def test_that_ships_what_it_should_not(self, tmp_path: Path, extra: str) -> None:
        """Tools, the simulator and byte code."""
        assert "ships" in self.refusals(tmp_path, *self.FIT, extra)

    def test_without_native_code(self, tmp_path: Path) -> None:
        """Chalice only warns when a dependency has no wheel."""
        assert "no wheel" in self.refusals(tmp_path, *self.FIT[:2])

    @pytest.mark.parametrize("tag", ["cpython-311-x86_64", "cpython-312-aarch64"])
    def test_with_native_code_for_another_processor_or_python(self, tmp_path: Path, tag: str) -> None:
        """It would fail at import, on the first invocation."""
        assert "cannot load" in self.refusals(
            tmp_path, *self.FIT[:2], f"pydantic_core/_pydantic_core.{tag}-linux-gnu.so"
        )

    def test_with_a_handler_that_never_imports_app(self, tmp_path: Path) -> None:
        """That is what a schedule declared in a Blueprint gets."""
        template = json.loads(json.dumps(self.TEMPLATE).replace("app.sweep", "chalicelib.web.sweep"))
        assert "never imports app.py" in self.refusals(tmp_path, *self.FIT, template=template)
