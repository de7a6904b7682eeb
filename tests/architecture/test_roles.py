"""Whom each route lets in: said at the route, and known here."""

import ast

import app as curfew
from chalicelib.domain.tokens import Needs
from chalicelib.web.about import about_of
from tests.architecture.sources import ROOT, source

ADMINS = {
    *("GET /policy", "PUT /policy", "GET /tokens", "POST /tokens", "DELETE /tokens/{token_id}", "GET /audit"),
    *("POST /notifications/test", "POST /sweeps", "PUT /budgets/{name}", "DELETE /budgets/{name}"),
}
ACCOUNT_WIDE = {"GET /sweeps"}
PUBLIC = {
    *("POST /heartbeats", "POST /sync", "GET /health", "GET /openapi.json"),
    *("GET /snooze/{token}", "POST /snooze/{token}"),
}


def needs() -> dict[str, Needs | None]:
    """What each route needs; None: nobody has to say who they are."""
    return {
        f"{method} {path}": None if (about := about_of(entry.view_function)).is_public else about.needs
        for path, methods in curfew.app.routes.items()
        for method, entry in methods.items()
    }


def test_every_route_says_whom_it_needs() -> None:
    """One that says nothing is the admin's alone, which nobody may have meant."""
    silent = [
        node.name
        for node in source(ROOT / "app.py").tree.body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and ast.unparse(decorator.func) == "door.endpoint"
        and not {word.arg for word in decorator.keywords} & {"needs", "is_public"}
    ]
    assert silent == []


def test_what_is_the_admins_is_the_admins() -> None:
    """Neither more nor less."""
    assert {route for route, needed in needs().items() if needed is Needs.ADMIN} == ADMINS


def test_what_strangers_may_call_is_known() -> None:
    """A route gets onto this list by a decision."""
    assert {route for route, needed in needs().items() if needed is None} == PUBLIC


def test_reading_needs_no_role_that_changes_and_changing_needs_one() -> None:
    """A viewer is let in nowhere but to read; what can't be told apart by owner no launcher reads."""
    files = "/transfers"  # a folder is its owner's: a viewer has none
    for route, needed in needs().items():
        method, _, path = route.partition(" ")
        if needed in {None, Needs.ADMIN} or path.startswith(files):
            continue
        reads = Needs.VIEWER if route in ACCOUNT_WIDE else Needs.READER
        assert needed is (reads if method == "GET" else Needs.LAUNCHER), route
