"""The sink that stands in for Slack: keeps what was posted, refuses what Slack would, or fails as asked."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from localaws.protocol.faults import Fault, Faults
from localaws.protocol.wire import CallId

POST = CallId("slack", "*", "post")
MOST_BLOCKS = 50
LONGEST = {"header": 150, "section": 3000, "context": 3000}
"""Characters of a text by its block. Source: docs.slack.dev, "Blocks"."""


class SlackSink:
    """Messages in the order they came."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._messages: list[dict[str, Any]] = []

    def fault(self) -> Fault | None:
        """The fault that hits the next message, if one does."""
        return self._faults.strike(POST)

    def post(self, at: datetime, body: bytes, fault: Fault | None = None) -> int:
        """The HTTP status of the answer: 200, 400 for blocks that Slack would not take, or that of the fault; a message
        that only comes late is kept."""
        if fault is not None and fault.breaks and not fault.lost_answer:
            return int(fault.code) if fault.code.isdigit() else 500
        try:
            content: Any = json.loads(body)
        except ValueError:
            content = body.decode(errors="replace")
        if not _is_readable(content):
            return 400
        self._messages.append({"at": at, "body": content})
        return 500 if fault is not None and fault.lost_answer else 200

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self._messages)


def _is_readable(content: Any) -> bool:
    """Whether Slack could show it: `invalid_blocks` else."""
    blocks = content.get("blocks", []) if isinstance(content, dict) else []
    return len(blocks) <= MOST_BLOCKS and all(
        0 < len(text["text"]) <= LONGEST.get(block["type"], 0)
        for block in blocks
        for text in (block.get("text"), *block.get("elements", []))
        if text is not None
    )
