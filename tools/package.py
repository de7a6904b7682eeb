"""Write out/deployment.zip and out/sam.json for a stage, and refuse a package that could not run.

`chalice package` does the work, on a copy of what ships: it would put byte code and leftovers that lie in
chalicelib/ into the zip, and it exits 0 when a dependency has no wheel for the function's processor. No
AWS account, profile or credential is read; only the package index is asked.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
SHIPPED = ("app.py", "chalicelib", "requirements.txt")
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
MAX_ZIP_BYTES = 6_000_000
MAX_UNZIPPED_BYTES = 30_000_000
# Lambda brings boto3, Chalice adds its two runtime files; the rest are tools, or for development only.
NEVER_SHIPPED = frozenset(
    "boto3 botocore cfnlint localaws moto pip pytest setuptools tests tools wheel".split()
)
LEFTOVERS = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def stage_copy(source: Path, build: Path) -> None:
    """Copy what ships, and the settings that say how, into an empty folder."""
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    for name in SHIPPED:
        if (source / name).is_dir():
            shutil.copytree(source / name, build / name, ignore=LEFTOVERS)
        else:
            shutil.copy2(source / name, build / name)
    (build / ".chalice").mkdir()
    for settings in sorted((source / ".chalice").glob("*.json")):
        shutil.copy2(settings, build / ".chalice" / settings.name)


def chalice_package(build: Path, out: Path, stage: str) -> None:
    """Run `chalice package` on the copy, away from the caller's AWS settings."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CURFEW_"))}
    env |= {
        "AWS_DEFAULT_REGION": "us-east-1",  # Chalice looks up principals in it; the template names no region
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    options = ["--stage", stage, "--merge-template", ".chalice/resources.json"]
    subprocess.run([str(TOOLS / "chalice"), "package", *options, str(out)], cwd=build, env=env, check=True)


def answer_every_method(template: dict[str, Any]) -> None:
    """Let the function answer each method that a path does not take: API Gateway knows no 405, it would say that there
    is no such path."""
    for methods in template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"].values():
        one = next(iter(methods.values()))
        methods["x-amazon-apigateway-any-method"] = {
            key: value for key, value in one.items() if key not in {"summary", "description", "operationId"}
        }


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of each Lambda function, by its logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def problems(package: Path, template: dict[str, Any]) -> list[str]:
    """Why this package could not run or ships what it should not; empty when it is fit."""
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        unzipped = sum(info.file_size for info in archive.infolist())
    found = [f"{package.name} ships {top}" for top in sorted({_top(name) for name in names} & NEVER_SHIPPED)]
    found += [f"{package.name} ships byte code: {name}" for name in names if name.endswith(".pyc")]
    found += [f"{package.name} lacks {name}" for name in ("app.py", "chalice/app.py") if name not in names]
    if package.stat().st_size > MAX_ZIP_BYTES or unzipped > MAX_UNZIPPED_BYTES:
        found.append(
            f"{package.name} is {package.stat().st_size:,} bytes, {unzipped:,} unzipped: over its bounds"
        )
    for function, properties in functions(template).items():
        if not properties["Handler"].startswith("app."):
            found.append(f"{function} is handled by {properties['Handler']}, which never imports app.py")
        found += _missing_natives(function, properties, names)
    return found


def _missing_natives(function: str, properties: dict[str, Any], names: list[str]) -> list[str]:
    """What native code lacks for the processor and Python of a function; chalice only warns of it."""
    machine = MACHINES[properties["Architectures"][0]]
    abi = "cpython-" + properties["Runtime"].removeprefix("python").replace(".", "")
    natives = [name for name in names if name.endswith(".so")]
    foreign = [name for name in natives if machine not in name or (abi not in name and "abi3" not in name)]
    if not any(name.startswith("pydantic_core/") for name in natives):
        return [f"{function} needs pydantic_core for {machine}, and no wheel of it was found"]
    return [f"{function} runs {abi} on {machine} and cannot load {name}" for name in foreign]


def _top(name: str) -> str:
    return re.split(r"[/-]", name, maxsplit=1)[0]


def summary(package: Path, template: dict[str, Any]) -> str:
    """One line of figures for people."""
    properties = next(iter(functions(template).values()))
    return (
        f"{package.stat().st_size / 1e6:.2f} MB {package.name}, {len(functions(template))} functions, "
        f"{len(template['Resources'])} resources, {properties['Runtime']} on {properties['Architectures'][0]}"
    )


def main() -> int:
    """Package, check, lint; the figures are the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", nargs="?", default="prod")
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    arguments = parser.parse_args()
    out: Path = arguments.out.resolve()
    stages = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]
    if arguments.stage not in stages:
        print(
            f"no stage {arguments.stage!r} in .chalice/config.json: choose one of {', '.join(stages)}",
            file=sys.stderr,
        )
        return 2

    for name in ("deployment.zip", "sam.json"):
        (out / name).unlink(missing_ok=True)
    stage_copy(ROOT, out / "build")
    chalice_package(out / "build", out, arguments.stage)
    shutil.rmtree(out / "build")
    template: dict[str, Any] = json.loads((out / "sam.json").read_text())
    answer_every_method(template)
    (out / "sam.json").write_text(json.dumps(template, indent=2))
    found = problems(out / "deployment.zip", template)
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        return 1
    subprocess.run([str(TOOLS / "cfn-lint"), str(out / "sam.json")], check=True)
    print(summary(out / "deployment.zip", template))
    return 0


if __name__ == "__main__":
    sys.exit(main())
