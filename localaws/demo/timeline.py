"""The timeline: virtual time, dollars billed by then, and what happened, in the order it happened."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from localaws.demo.stage import Stage, when

ENDING = ("CancelSpotInstanceRequests", "TerminateInstances")


class Timeline:
    """Prints what is new since it last looked. `names` gives boxes and requests the names of the play."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._names: dict[str, str] = {}
        self._calls = 0
        self._messages = 0
        self._known: set[str] = set()

    def call_it(self, name: str, *ids: str | None) -> None:
        """Give ids a name."""
        self._names |= {one: name for one in ids if one}
        self._known |= {one for one in ids if one}

    def say(self, what: str) -> None:
        """Something the play itself does."""
        truth = self._stage.truth()
        self._print(when(truth["now"]), truth, what)

    def look(self) -> None:
        """Whatever AWS saw and Slack was told since the last look."""
        truth = self._stage.truth()
        messages = self._stage.world("GET", "/slack")
        lines = [*self._new_boxes(truth), *self._new_calls(truth), *self._new_messages(messages)]
        for at, what in sorted(lines, key=lambda line: line[0]):
            self._print(at, truth, what)

    def _new_boxes(self, truth: dict[str, Any]) -> list[tuple[datetime, str]]:
        lines = []
        for row in truth["instances"]:
            if row["id"] in self._known:
                continue
            self._known.add(row["id"])
            origin = self._names.get(row["relaunch_of"] or "", row["relaunch_of"])
            self._names[row["id"]] = f"{origin}, again"
            tags = f"tags {row['tags']}" if row["tags"] else "no tags"
            what = f"AWS    starts {row['id']} in place of {origin}: {row['relaunched_by']} is still armed ({tags})"
            lines.append((when(row["launched_at"]), what))
        return lines

    def _new_calls(self, truth: dict[str, Any]) -> list[tuple[datetime, str]]:
        rows = truth["calls"][self._calls :]
        self._calls = len(truth["calls"])
        return [
            (when(row["at"]), f"Curfew {row['operation']} {', '.join(self._named(i) for i in row['ids'])}")
            for row in rows
            if row["operation"] in ENDING
        ]

    def _new_messages(self, messages: list[dict[str, Any]]) -> list[tuple[datetime, str]]:
        new = messages[self._messages :]
        self._messages = len(messages)
        return [(when(message["at"]), f"Slack  {self._spoken(message['body']['text'])}") for message in new]

    def _named(self, one: str) -> str:
        return f"{one} ({self._names[one]})" if one in self._names else one

    def _spoken(self, text: str) -> str:
        text = text.replace("\n", "; ")
        for one, name in self._names.items():
            text = text.replace(one, f"{one} ({name})")
        return text

    @staticmethod
    def _print(at: datetime, truth: dict[str, Any], what: str) -> None:
        print(f"{at:%H:%M:%S}  ${Decimal(truth['billed_usd']):>6.2f}  {what}", flush=True)
