"""The stage: `localaws serve` in a process of its own, and the few HTTP calls the play makes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from localaws.errors import LocalAwsError

TOKEN = "demo-admin-token"  # noqa: S105 it opens nothing but this process
START = "2026-03-02T09:00:00Z"
READY_WITHIN_LINES = 200


class Stage:
    """Curfew and AWS, up and running; `curfew` and `world` speak to them."""

    def __init__(self, *options: str) -> None:
        self._options = options

    def __enter__(self) -> Self:
        api_port, aws_port = _free_port(), _free_port()
        self.api, self.aws = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{aws_port}"
        self._errors = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "localaws", "serve", "--speed", "0", "--start", START]
        command += ["--api-port", str(api_port), "--aws-port", str(aws_port), "--admin-token", TOKEN]
        command += self._options
        mode = {"CURFEW_MODE": "enforce", "CURFEW_ARMED": "true"}
        self._process = subprocess.Popen(  # noqa: S603 our own command
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True, env={**os.environ, **mode}
        )
        if not any(line.startswith("ready ") for line in self._process.stdout or ()):
            self._errors.seek(0)
            told = self._errors.read().decode()[-2000:]
            self._stop()
            raise LocalAwsError(f"localaws did not start: {told}")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)
        if self._process.stdout:
            self._process.stdout.close()
        self._errors.close()

    def curfew(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """A call of Curfew's API, as curl would make it: status and body."""
        sent = {"Authorization": f"Bearer {TOKEN}", **(headers or {})}
        return self._call(f"{self.api}{path}", method, body, sent)

    def world(self, method: str, path: str, body: Any = None) -> Any:
        """A call of `/_world`, which can't fail in a play."""
        status, answer = self._call(f"{self.aws}/_world{path}", method, body, {})
        if status >= 400:
            raise LocalAwsError(f"{method} /_world{path}: {status} {answer}")
        return answer

    def truth(self) -> dict[str, Any]:
        """What is really there, and what is really billed."""
        answer: dict[str, Any] = self.world("GET", "")
        return answer

    def now(self) -> datetime:
        """The virtual time."""
        return when(self.truth()["now"])

    def _call(self, url: str, method: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 always http, always this machine
            url, data=data, method=method, headers={**headers, "Content-Type": "application/json"}
        )
        try:
            with self._opener.open(request) as answer:
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, _parsed(refusal.read())


def when(text: str) -> datetime:
    """A time as `/_world` writes it."""
    return datetime.fromisoformat(text)


def _parsed(raw: bytes) -> Any:
    return json.loads(raw) if raw else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
