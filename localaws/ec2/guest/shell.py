"""The shell: runs a script on a machine, with a clock of its own that sleeping moves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from localaws.ec2.guest import times
from localaws.ec2.guest.commands import COMMANDS
from localaws.ec2.guest.expansion import ASSIGNMENT, Environment, UnknownError
from localaws.ec2.guest.lexer import Word
from localaws.ec2.guest.machine import ENDING, Machine, OffError, Status, ThroughError, UnsureError
from localaws.ec2.guest.syntax import (
    Background,
    Chain,
    Group,
    If,
    Loop,
    Node,
    Opaque,
    Pipeline,
    Simple,
    parse,
)

MOST_TURNS = 5000
WRAPPERS = frozenset("sudo nohup exec command env setsid nice time ionice stdbuf builtin eval".split())
TAKES_ITS_TIME = re.compile(
    r"python\d*(\.\d+)?|torchrun|accelerate|deepspeed|mpirun|jupyter\S*|wait|make|(\./|/opt/|/home/)\S+"
)
SAYS_ONLY = frozenset("echo printf logger wall cat tee".split())
ONLY_ASKS = frozenset("grep egrep pgrep pidof diff cmp ping nc who".split())
"""Commands that are there for their status, which only a real box knows."""
WITH_A_VALUE = ("-u", "-g")
Outcome = Literal["through", "off", "unsure"]
"""Of a script: done at a known time, the end of the box, or nobody knows when it is through."""


def run_script(machine: Machine, script: str, at: datetime) -> None:
    """Run a script by itself, from a time on."""
    Shell(machine, at).run_to_its_end(script)


class Shell:
    """One shell and its variables; `now` is how far it has come."""

    def __init__(self, machine: Machine, now: datetime, variables: Mapping[str, str] | None = None) -> None:
        self.machine = machine
        self.now = now
        self.environment = Environment(dict(variables or {}))
        self._is_asked = False

    def run_to_its_end(self, script: str) -> Outcome:
        """Run a script, from `now` on; `now` is then when it is through."""
        first = script.partition("\n")[0]
        if first.startswith("#!") and "sh" not in first:
            self.machine.ignore(script)
            return "unsure"
        try:
            self._run_all(parse(script.replace("\r\n", "\n")))
        except (ValueError, OverflowError, RecursionError):  # beyond this shell, or beyond any
            self.machine.ignore(script)
            return "unsure"
        except OffError:
            return "off"
        except UnsureError:
            return "unsure"
        except ThroughError:
            pass
        return "through"

    def _run_all(self, nodes: tuple[Node, ...]) -> Status:
        status: Status = True
        for index, node in enumerate(nodes):
            try:
                status = self._run(node)
            except UnsureError:
                for later in nodes[index + 1 :]:
                    self.machine.ignore(later.source)
                raise
        return status

    def _run(self, node: Node) -> Status:
        match node:
            case Simple():
                return self._simple(node, None)
            case Pipeline():
                return self._pipeline(node)
            case Chain():
                return self._chain(node)
            case Background():
                return self._aside(node.body)
            case Group():
                return self._run_all(node.body)
            case If():
                return self._if(node)
            case Loop():
                return self._loop(node)
            case Opaque():
                self.machine.ignore(node.source)
                return None

    def _aside(self, node: Node) -> Status:
        """Run beside the script, which goes on at once."""
        shell = Shell(self.machine, self.now, self.environment.variables)
        with suppress(OffError, ThroughError, UnsureError):
            shell._run_all((node,))
        return True

    def _chain(self, node: Chain) -> Status:
        status: Status = True
        for index, (operator, command) in enumerate((("&&", node.first), *node.rest)):
            if status is None:
                self.machine.ignore(command.source)
            elif status == (operator == "&&"):
                try:
                    status = self._run(command)
                except UnsureError:
                    for _, later in node.rest[index:]:
                        self.machine.ignore(later.source)
                    raise
        return status

    def _if(self, node: If) -> Status:
        for condition, body in node.branches:
            status = self._asked(condition)
            if status is None:
                self.machine.ignore(node.source)
                return None
            if status:
                return self._run_all(body)
        return self._run_all(node.otherwise)

    def _loop(self, node: Loop) -> Status:
        for _ in range(MOST_TURNS):
            began, before = self.now, dict(self.environment.variables)
            self.environment.turns_at.clear()
            status = self._asked(node.condition)
            if status is None:
                self.machine.ignore(node.source)
                break
            if status == node.until:
                return True
            self._run_all(node.body)
            step = self.now - began
            if step <= timedelta(0):
                break
            if before == self.environment.variables:
                self._skip_turns(began, step)
        raise UnsureError

    def _asked(self, condition: tuple[Node, ...]) -> Status:
        """Of a condition nothing is taken for granted."""
        before, self._is_asked = self._is_asked, True
        try:
            return self._run_all(condition)
        finally:
            self._is_asked = before

    def _skip_turns(self, began: datetime, step: timedelta) -> None:
        """Turns that are like the last one, until one in which a comparison of times may come out otherwise."""
        ahead = [turn for turn in self.environment.turns_at if turn > began]
        if not ahead:
            raise UnsureError
        turns = (min(ahead) - self.now) // step - 1
        self.now += max(0, turns) * step

    def _pipeline(self, node: Pipeline) -> Status:
        """Only what is said by a command on the left can be heard on the right."""
        said: str | None = None
        status: Status = True
        for command in node.commands:
            heard, said = said, self._output(command, said)
            status = self._simple(command, heard) if isinstance(command, Simple) else self._aside(command)
        return status

    # Simple commands

    def _simple(self, node: Simple, heard: str | None) -> Status:
        try:
            words = self.environment.words(node.words, self.now)
            stdin = self._read(node, heard)
            self._write_files(node, stdin)
            return self._command(words, stdin, node.source)
        except (UnknownError, times.NotATimeError):
            self._not_understood(node.words, node.source)
            return None

    def _read(self, node: Simple, heard: str | None) -> str | None:
        """What it has on its standard input."""
        for operator, word in node.redirections:
            if operator.endswith("<"):
                return self.machine.disk.files.get(self.environment.text(word, self.now))
        return heard if node.stdin is None else self.environment.text(node.stdin, self.now)

    def _not_understood(self, words: tuple[Word, ...], source: str) -> None:
        if words and words[0].text not in SAYS_ONLY:
            self.machine.ignore(source)

    def _command(self, words: list[str], stdin: str | None, source: str) -> Status:
        words = self._unwrapped(words)
        if not words:
            return True
        name, arguments = words[0].rpartition("/")[2], words[1:]
        if name in COMMANDS:
            return COMMANDS[name](self, arguments, stdin, source)
        if words[0] in self.machine.disk.files:
            return self.include(self.machine.disk.files[words[0]])
        if TAKES_ITS_TIME.fullmatch(words[0]) or (
            name == "docker" and "run" in arguments and "-d" not in arguments
        ):
            raise UnsureError
        if ENDING.search(source) and name not in SAYS_ONLY:
            self.machine.ignore(source)
        return None if self._is_asked or name in ONLY_ASKS else True

    def _unwrapped(self, words: list[str]) -> list[str]:
        """Without what stands before a command: assignments, which are made if nothing follows, and wrappers."""
        assignments = []
        while words:
            if ASSIGNMENT.match(words[0]):
                assignments.append(words.pop(0))
            elif words[0].rpartition("/")[2] in WRAPPERS:
                words = _without_options(words[1:])
            else:
                return words
        for assignment in assignments:
            self.environment.assign(assignment)
        return []

    def include(self, script: str) -> Status:
        """Run another script, in this shell's own time."""
        shell = Shell(self.machine, self.now, self.environment.variables)
        outcome = shell.run_to_its_end(script)
        if outcome != "through":
            raise OffError if outcome == "off" else UnsureError
        self.now = shell.now
        return True

    # What commands say, and into which file

    def _output(self, node: Node, heard: str | None) -> str | None:
        if isinstance(node, Group):
            return "".join(self._output(one, None) or "" for one in node.body)
        if not isinstance(node, Simple):
            return None
        try:
            words = self._unwrapped(self.environment.words(node.words, self.now))
            stdin = self._read(node, heard)
        except UnknownError:
            return None
        return said(words, stdin, self.machine.disk.crontab)

    def _write_files(self, node: Simple, stdin: str | None) -> None:
        files = self.machine.disk.files
        words = self._unwrapped(self.environment.words(node.words, self.now))
        text = said(words, stdin, self.machine.disk.crontab)
        if text is None:
            return
        targets = [
            (word, "a" if operator.endswith(">>") else "w")
            for operator, word in node.redirections
            if ">" in operator
        ]
        paths = [(self.environment.text(word, self.now), how) for word, how in targets]
        if words[0].rpartition("/")[2] == "tee":
            how = "a" if "-a" in words else "w"
            paths += [(word, how) for word in words[1:] if not word.startswith("-")]
        for path, how in paths:
            files[path] = (files.get(path, "") if how == "a" else "") + text


def _without_options(words: list[str]) -> list[str]:
    while words and (words[0].startswith("-") or words[0].isdigit()):
        words = words[2:] if words[0] in WITH_A_VALUE else words[1:]
    return words


def said(words: list[str], stdin: str | None, crontab: str) -> str | None:
    """What a command writes; None if that is not known."""
    name = words[0].rpartition("/")[2] if words else ""
    arguments = words[1:]
    if name == "echo":
        plain = [word for word in arguments if word not in ("-e", "-n")]
        text = " ".join(plain)
        return (text.replace("\\n", "\n") if "-e" in arguments else text) + (
            "" if "-n" in arguments else "\n"
        )
    if name == "printf" and arguments:
        form, values = arguments[0].replace("\\n", "\n"), arguments[1:]
        return "".join(form.replace("%s", value, 1) for value in values) if values else form
    if name == "crontab" and arguments == ["-l"]:
        return crontab
    return stdin if name in ("cat", "tee") else None
