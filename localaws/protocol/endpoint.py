"""One AWS call from bytes to bytes: the fault that hits it, its tokens, the operation, the record of it.

Everything that reads or changes the world happens under the world's lock: moto's own threaded server loses updates.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from moto.core.exceptions import ServiceException

from localaws.errors import AwsError
from localaws.onmoto.app import MotoApp
from localaws.operations import Call, operation_for, repeat_for
from localaws.protocol import wire
from localaws.protocol.calls import changes_something, ids_in
from localaws.protocol.crashes import crashed
from localaws.protocol.faults import DROP, Fault, as_aws_error
from localaws.protocol.tokens import ClientTokens, takes_token
from localaws.protocol.wire import CallId, HttpRequest, HttpResponse

if TYPE_CHECKING:
    from localaws.world import World

DROPPED = HttpResponse(0, dropped=True)
ENDPOINTS = {"pricing": {"us-east-1", "eu-central-1", "ap-south-1"}, "ce": {"us-east-1"}}
"""The regions of services that have an endpoint in few (AWS General Reference); in others there is nobody to call."""
UNSIGNED = CallId("", "", "")


@cache
def known_regions() -> frozenset[str]:
    """Every region that botocore knows, and the name of those that have none of their own."""
    session = boto3.Session()
    found = [session.get_available_regions("ec2", each) for each in session.get_available_partitions()]
    return frozenset(name for names in found for name in names) | {"", "aws-global"}


def _strange(call: CallId) -> AwsError:
    """What an account hears in a region that it has not enabled, where nobody knows its credentials; of one that is
    nowhere there would not even be an answer."""
    if call.service == "ec2":
        text = "AWS was not able to validate the provided access credentials"
        return AwsError("AuthFailure", text, status=401)
    return AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")


class Endpoint:
    """AWS as a function from request to response."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._moto = MotoApp()
        self._tokens = ClientTokens(world)
        self._caller: str | None = None

    @contextmanager
    def calling_as(self, caller: str) -> Iterator[None]:
        """Calls made in here, by who holds the world's lock, are a schedule's: no real second passes for them."""
        self._caller = caller
        try:
            yield
        finally:
            self._caller = None

    def handle(self, request: HttpRequest) -> HttpResponse:
        call = wire.identify(request)
        if call is not None and call.region not in ENDPOINTS.get(call.service, {call.region}):
            return DROPPED
        if call is not None and call.region not in known_regions():
            return wire.error(call, _strange(call))
        with self._world.lock:
            fault = self._world.faults.strike(call) if call else None
            waits = self._caller is None
        if fault is not None and fault.delay_seconds and waits:
            time.sleep(fault.delay_seconds)
        with self._world.lock:
            if call is None:
                return self._unsigned(request)
            return self._answer(call, request, fault if fault and fault.breaks else None)

    def _answer(self, call: CallId, request: HttpRequest, fault: Fault | None) -> HttpResponse:
        lost = fault is not None and fault.lost_answer
        params: dict[str, Any] = {}
        try:
            params = self._parameters(call, request)
            if fault is not None and not lost:
                problem = as_aws_error(fault, call, len(params.get("TransactItems", ())) or 1)
                self._note(call, params, None, problem.code, lost=False)
                return DROPPED if fault.code == DROP else wire.error(call, problem)
            response = self._perform(call, params, request, lost=lost)
        except Exception as failure:  # noqa: BLE001 AWS answers whatever happens inside it
            problem = failure if isinstance(failure, AwsError) else crashed(call, failure)
            self._note(call, params, None, problem.code, lost=lost)
            response = wire.error(call, problem)
        return self._lose(call, fault) if fault is not None and lost else response

    def _unsigned(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._moto.handle(request)
        except Exception as failure:  # noqa: BLE001 AWS answers whatever happens inside it
            return wire.error(UNSIGNED, crashed(UNSIGNED, failure))

    def _perform(
        self, call: CallId, params: dict[str, Any], request: HttpRequest, *, lost: bool
    ) -> HttpResponse:
        self._world.throttle.take(call, params)
        done = self._tokens.done(call, params)
        if done is not None:
            repeat = repeat_for(call)
            if repeat is None or done.answer is None:
                return done.response
            return wire.result(call, repeat(Call(self._world, call.region, params), done.answer))
        operation = operation_for(call)
        answer: Mapping[str, Any] | None = None
        if operation is not None:
            answer = _run(operation, Call(self._world, call.region, params))
        response = self._moto.handle(request, call.service) if answer is None else wire.result(call, answer)
        if response.status < 300:
            self._tokens.remember(call, params, answer, response)
            self._world.account.requests.note(call, params)
        self._note(call, params, answer, None if response.status < 300 else _error_code(response), lost=lost)
        return response

    def _parameters(self, call: CallId, request: HttpRequest) -> dict[str, Any]:
        wanted = (
            operation_for(call) is not None
            or changes_something(call)
            or takes_token(call)
            or call.operation.startswith("Transact")  # a conflict names a reason for each of its items
            or (self._world.throttle.on and call.service == "ec2")
        )
        return wire.parameters(call, request) if wanted and call.operation else {}

    def _note(
        self,
        call: CallId,
        params: dict[str, Any],
        answer: Mapping[str, Any] | None,
        code: str | None,
        *,
        lost: bool,
    ) -> None:
        if changes_something(call) or self._caller:
            ids = ids_in(call, params, answer)
            self._world.calls.note(self._world.now, call, ids, code, lost=lost, by=self._caller)

    def _lose(self, call: CallId, fault: Fault) -> HttpResponse:
        if fault.code == DROP:
            return DROPPED
        return wire.error(call, AwsError(fault.code or "InternalError", "The answer was lost", status=500))


def _run(operation: Any, call: Call) -> Mapping[str, Any] | None:
    if call.params.get("DryRun"):
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)
    try:
        return operation(call)  # type: ignore[no-any-return]
    except ServiceException as problem:  # moto refused something on our behalf
        raise AwsError(problem.code, problem.message) from problem


def _error_code(response: HttpResponse) -> str:
    text = response.body.decode(errors="replace")
    start = text.find("<Code>")
    return text[start + 6 : text.find("</Code>")] if start >= 0 else str(response.status)
