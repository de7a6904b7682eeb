"""botocore's clients, made in a tenth of the time.

botocore writes the class of a client anew for each one, EC2's with its 760 methods and their docstrings, and registers
the same handlers in every session: half of what a short test costs. Here both are made once a process. What comes out
is the same.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

from botocore.client import ClientCreator
from botocore.hooks import HierarchicalEmitter
from botocore.model import ServiceModel
from botocore.session import Session

CHANGED_BY_BOTO3 = frozenset({"s3"})
"""boto3 adds methods to these as its sessions make them."""

_read: dict[tuple[object, str, str | None], ServiceModel] = {}
_made: dict[ServiceModel, type] = {}
_read_model: Any = ClientCreator._load_service_model  # type: ignore[attr-defined]
_make: Any = ClientCreator._create_client_class  # type: ignore[attr-defined]


def take_over() -> None:
    """From here on a service's model is gone through and its class is made once."""
    ClientCreator._load_service_model = _read_once  # type: ignore[attr-defined]
    ClientCreator._create_client_class = _made_once  # type: ignore[attr-defined]


def let_go() -> None:
    """Let botocore make them itself."""
    ClientCreator._load_service_model = _read_model  # type: ignore[attr-defined]
    ClientCreator._create_client_class = _make  # type: ignore[attr-defined]


def quick_session() -> Session:
    """A session with botocore's own handlers."""
    return Session(event_hooks=copy.copy(_handlers()), include_builtin_handlers=False)


@lru_cache
def _handlers() -> HierarchicalEmitter:
    emitter = HierarchicalEmitter()
    Session(event_hooks=emitter)
    return emitter


def _read_once(creator: Any, service: str, api_version: str | None = None) -> ServiceModel:
    key = (creator._loader, service, api_version)
    if key not in _read:
        _read[key] = _read_model(creator, service, api_version)
    return _read[key]


def _made_once(creator: Any, service: str, model: ServiceModel) -> type:
    if service in CHANGED_BY_BOTO3:
        plain: type = _make(creator, service, model)
        return plain
    if model not in _made:
        # A class keeps the handlers that it was made with, and those of a session its world.
        free = copy.copy(creator)
        free._event_emitter = quick_session().get_component("event_emitter")
        _made[model] = _make(free, service, model)
    return _made[model]
