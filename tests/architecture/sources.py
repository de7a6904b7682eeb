"""The product's sources as syntax trees, for tests of what the code may contain."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GATEWAYS = ROOT / "chalicelib" / "gateways"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file, by its path below the repository's root."""

    path: str
    tree: ast.Module

    @property
    def imported_names(self) -> dict[str, str]:
        """What each imported name stands for: `env` → `os.environ` after `from os import environ as env`."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return names

    def dotted_uses(self) -> tuple[tuple[str, int], ...]:
        """Every name used, spelt out by the imports, with its line: `os.environ.get`, `datetime.datetime.now`."""
        return _dotted_uses(self)

    def _each_use(self) -> Iterator[tuple[str, int]]:
        names = self.imported_names
        for node in ast.walk(self.tree):
            spelt = _spelt(node)
            if spelt:
                head, dot, rest = spelt.partition(".")
                yield names.get(head, head) + dot + rest, getattr(node, "lineno", 0)

    def places(self, *forbidden: str) -> list[str]:
        """`path:line name` of each use of a forbidden dotted name, or of anything below it."""
        return sorted(
            {
                f"{self.path}:{line} {name}"
                for name, line in self.dotted_uses()
                if any(name == word or name.startswith(word + ".") for word in forbidden)
            }
        )


@cache
def _dotted_uses(one: Source) -> tuple[tuple[str, int], ...]:
    return tuple(one._each_use())


def _spelt(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _spelt(node.value)
        return f"{owner}.{node.attr}" if owner else None
    return None


@cache
def source(path: Path) -> Source:
    """One file, parsed."""
    return Source(path=str(path.relative_to(ROOT)), tree=ast.parse(path.read_text(), filename=str(path)))


def sources(*folders: str) -> list[Source]:
    """Every Python file below some folders of the repository."""
    return [source(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def product() -> list[Source]:
    """What ships: app.py and chalicelib."""
    return [source(path) for path in [ROOT / "app.py"] if path.exists()] + sources("chalicelib")
