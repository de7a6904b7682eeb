"""What people run on their own machine runs on macOS as it comes: bash 3.2, make 3.81, BSD's tools."""

import re
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

DOCUMENTS = (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
SCRIPTS = (ROOT / "Makefile", ROOT / ".ci" / "run", *ROOT.glob("tools/*.sh"), *ROOT.glob("examples/*.sh"))
GNU_ONLY = {
    "date -d, %N": r"\bdate\b[^|;)\n]*(?: -u?d |%N)",
    "sed -i without a suffix": r"\bsed\b[^|;\n]* -i ",
    "readlink -f, realpath": r"\breadlink\b[^|;\n]* -f|\brealpath\b",
    "grep -P": r"\bgrep\b[^|;\n]* -[a-zA-Z]*P",
    "xargs -r": r"\bxargs\b[^|;\n]* -r\b",
    "stat -c": r"\bstat\b[^|;\n]* -c\b",
    "base64 -w": r"\bbase64\b[^|;\n]* -w",
    "sort -V": r"\bsort\b[^|;\n]* -[a-zA-Z]*V",
    "sha256sum, md5sum, nproc, timeout, tac": r"(?:^|[|;&(`]\s*)(?:sha256sum|md5sum|nproc|timeout|tac)\b",
    "long options of coreutils": r"\b(?:cp|mv|rm|ls|mkdir|head|tail|cut|sort|wc) [^|;\n]*--[a-z]",
}
BASH_4 = {
    "associative arrays": r"\bdeclare -A",
    "mapfile, readarray": r"\b(?:mapfile|readarray)\b",
    "${x,,}, ${x^^}": r"\$\{\w+(?:,,|\^\^)",
    "|&, &>>": r"\|&|&>>",
}
MAKE_4 = {"!=": r"^\w+ *!=", ".ONESHELL": r"^\.ONESHELL", "$(file": r"\$\(file ", "::=": r"::="}


def found(text: str, *kinds: dict[str, str]) -> set[str]:
    """Which of these a text uses."""
    return {
        name
        for kind in kinds
        for name, pattern in kind.items()
        if re.search(pattern, text, flags=re.MULTILINE)
    }


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_and_recipes_use_nothing_that_macos_lacks(path: Path) -> None:
    """Neither GNU's options nor what bash and make have learned since 2009."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    assert found(text, GNU_ONLY, BASH_4, MAKE_4 if path.name == "Makefile" else {}) == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_lines_to_type_use_nothing_that_macos_lacks(path: Path) -> None:
    """In every block that a document says to run."""
    blocks = re.findall(r"```sh\n(.*?)```", path.read_text(), flags=re.DOTALL)
    assert found("\n".join(blocks), GNU_ONLY, BASH_4) == set()


def test_what_is_looked_for_would_be_found() -> None:
    """The patterns above catch what they are named for."""
    gnu = """date -u -d yesterday +%F
sed -i s/a/b/ x
readlink -f x
grep -oP x
x | xargs -r y
stat -c %s x
base64 -w0 x
sort -V
x | sha256sum
ls --color
"""
    assert found(gnu, GNU_ONLY) == set(GNU_ONLY)
    assert found("declare -A x\nmapfile y\n${x,,}\na |& b\n", BASH_4) == set(BASH_4)
    assert found("date -u +%F\nsed -n 3p\n sed 's/a/b/' -e x\nprintf %s x\n", GNU_ONLY, BASH_4) == set()
