"""docs/rules.md says what the rules, the shields and the policy are."""

import importlib.util
import sys
from types import ModuleType

import pytest

from chalicelib.domain.policy import NOT_ENFORCED
from chalicelib.domain.rules import RULES
from chalicelib.domain.shields import SHIELDS
from tests.architecture.sources import ROOT


@pytest.fixture(scope="module")
def rules_doc() -> ModuleType:
    """tools/rules_doc.py, which is no package."""
    spec = importlib.util.spec_from_file_location("rules_doc", ROOT / "tools" / "rules_doc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


def test_the_page_is_as_make_docs_writes_it(rules_doc: ModuleType) -> None:
    """After a change to a docstring or a default, `make docs` writes the page anew."""
    is_current = (ROOT / "docs" / "rules.md").read_text() == rules_doc.page()
    assert is_current, "docs/rules.md is stale: `make docs` writes it anew"


def test_the_page_names_every_rule_shield_and_open_key(rules_doc: ModuleType) -> None:
    """Nothing is left out of it."""
    page = rules_doc.page()
    assert [rule.__name__ for rule in RULES if f"## {rule.__name__}\n" not in page] == []
    assert [shield.__name__ for shield in SHIELDS if f"| {shield.__name__} |" not in page] == []
    assert page.count("not acted on yet") + page.count("Not acted on yet") == len(NOT_ENFORCED)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_a_rule_stands_in_a_file_of_its_name_and_says_what_it_does(rule: object) -> None:
    """One file a rule: `name: what it does`, then the function of that name with the figures it goes by."""
    name = str(getattr(rule, "__name__", ""))
    module = sys.modules[str(getattr(rule, "__module__", ""))]
    assert module.__name__.endswith(f".rules.{name}")
    assert (module.__doc__ or "").startswith(f"{name}: ")
    assert rule.__doc__
