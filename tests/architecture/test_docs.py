"""What the documents say to type exists, and what they point to is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, sources

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("examples/*.md")),
]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def slug(heading: str) -> str:
    """The anchor that Markdown renderers give a heading."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))


def anchors(document: Path) -> set[str]:
    """Every anchor of a document."""
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", document.read_text(), flags=re.MULTILINE)}


def by_path(document: Path) -> str:
    """A test's id."""
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_path)
def test_every_command_of_a_document_is_in_the_makefile(document: Path) -> None:
    """`make something` in code, inline or in a block, names a target."""
    text = document.read_text()
    code = re.findall(r"```.*?```", text, flags=re.DOTALL) + re.findall(r"`[^`\n]+`", text)
    named = {target for part in code for target in re.findall(r"(?:^|[`\n;&|] *)make ([a-z0-9-]+)", part)}
    assert named - TARGETS == set()


def test_the_runbook_has_a_row_for_whatever_health_misses() -> None:
    """And none for a setting that is lacked no more: what sweeps lack (named by a call) has rows of its own."""
    named = {
        value.value
        for file in sources("chalicelib")
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "what" and isinstance(value, ast.Constant)
    }
    table = (ROOT / "docs" / "runbook.md").read_text().partition("| `missing` |")[2].partition("| else |")[0]
    rows = set(re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE))
    assert named - rows == set()
    assert {row for row in rows - named if not row[0].isupper()} == {"policy"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_path)
def test_every_link_of_a_document_resolves(document: Path) -> None:
    """A link to a file finds the file, and its anchor a heading."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def commands(document: Path) -> list[list[str]]:
    """What each block of a document says to type, without the words beside it."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), flags=re.DOTALL)
    return [
        [re.sub(r" +# .*", "", line) for line in block.splitlines() if line and not line.startswith("#")]
        for block in blocks
    ]


def test_the_chinese_readme_says_to_type_what_the_english_one_does() -> None:
    """First screen and tour, to the letter: what is run of the one is run of the other."""
    english, chinese = commands(ROOT / "README.md"), commands(ROOT / "README.zh-CN.md")
    assert len(chinese) >= 3
    assert chinese == english[: len(chinese)]


def test_readme_gives_the_first_two_commands() -> None:
    """A newcomer sees the demo and the server."""
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme
    assert "make serve" in readme


@pytest.mark.parametrize(
    "target", ["setup", "demo", "serve", "test", "check", "package", "test-oldest-boto3", "clean"]
)
def test_the_makefile_has_what_others_rely_on(target: str) -> None:
    """These names are a contract with people and machines."""
    assert target in TARGETS


def test_decisions_are_numbered_without_holes() -> None:
    """docs/adr/0001-…, 0002-… and each says what was decided and what follows."""
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        assert {"## Context", "## Decision", "## Consequences"} <= set(record.read_text().splitlines()), (
            record.name
        )
