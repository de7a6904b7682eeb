"""Every curl line that a document says to type is answered, as printed. The README's tour has test_readme.py for itself."""

import os
import re
import subprocess
from pathlib import Path

import boto3
import pytest

from localaws.demo.stage import TOKEN, Stage
from tests.architecture.sources import ROOT
from tests.e2e.kit import Lab

NOT_RUN = {
    "README.md": "its tour runs in test_readme.py, line by line with each status",
    "README.zh-CN.md": "it says to type what the README does (tests/architecture/test_docs.py)",
    "adr": "decisions tell why, and say nothing to type",
}
DOCUMENTS = [
    path
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
    if "curl " in path.read_text() and not {path.name, path.parent.name} & set(NOT_RUN)
]
ASSIGNED = re.compile(r"[A-Z]+=(http|\$\(curl )")
NOTING_CURL = 'curl() { command curl -s -D "$HEADERS/$(date +%s%N)" "$@"; }\n'
REMOTE = "/curfew/rclone/admin/drive"


def statements(document: Path) -> list[str]:
    """What of a document's blocks, and of the code in its sentences, is a call by curl or names something for one."""
    text = document.read_text()
    found = re.findall(r"(?<!`)`(curl [^`\n]+)`", text)
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        whole = ""
        for line in block.splitlines():
            whole += line
            if whole.endswith("\\") or whole.count("'") % 2:
                whole += "\n"
                continue
            if whole.startswith("curl ") or ASSIGNED.match(whole):
                found.append(whole)
            whole = ""
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_says_to_type_is_answered(
    lab: Lab, stage: Stage, document: Path, tmp_path: Path
) -> None:
    """By anything but a problem, where a lease is open and has a box, and the parameter that a launch names is there."""
    typed = statements(document)
    assert typed, "it says curl, and nothing of it was found"
    lease = lab.launch(hours=2)
    ssm = boto3.client(
        "ssm",
        region_name="us-east-1",
        endpoint_url=stage.aws,
        aws_access_key_id="person",
        aws_secret_access_key="person",
    )
    ssm.put_parameter(Name=REMOTE, Type="SecureString", Value="[drive]\ntype = drive\n", Overwrite=True)
    script = (
        "\n".join(typed)
        .replace("http://127.0.0.1:5000", stage.aws)
        .replace("leases/ID", f"leases/{lease['id']}")
    )
    here = {
        "CURFEW": stage.api,
        "URL": f"{stage.api}/",
        "TOKEN": TOKEN,
        "AUTH": f"Authorization: Bearer {TOKEN}",
        "HEADERS": str(tmp_path),
    }
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", NOTING_CURL + script],
        env={**os.environ, **here},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers = [path.read_text().split()[1] for path in sorted(tmp_path.iterdir())]
    assert len(answers) == script.count("curl "), run.stdout
    assert [status for status in answers if not status.startswith("2")] == [], run.stdout
