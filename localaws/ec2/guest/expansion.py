"""The shell's variables, sums, dates and tests; what depends on anything else is unknown."""

from __future__ import annotations

import ast
import operator
import re
import shlex
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from localaws.ec2.guest import times
from localaws.ec2.guest.lexer import Word

NESTED = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*"
EXPANSION = re.compile(
    rf"\$\(\((?P<sum>{NESTED})\)\)|\$\((?P<command>{NESTED})\)|`(?P<old>[^`]*)`"
    r"|\$\{(?P<braced>[^}]*)\}|\$(?P<name>[A-Za-z_]\w*)|\$(?P<special>[\d?#@*$!-])"
)
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
NAME = re.compile(r"[A-Za-z_]\w*")
COMPARISON = re.compile(r"<=|>=|==|!=|<|>")
SUMS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-lt": operator.lt,
    "-le": operator.le,
    "-gt": operator.gt,
    "-ge": operator.ge,
    "-eq": operator.eq,
    "-ne": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TEXTS: dict[str, Callable[[str, str], bool]] = {"=": operator.eq, "==": operator.eq, "!=": operator.ne}


class UnknownError(Exception):
    """A value that only a real box would know."""


@dataclass(slots=True)
class Environment:
    """A shell's variables, and the times at which a comparison with the time of now may come out otherwise."""

    variables: dict[str, str]
    turns_at: list[datetime] = field(default_factory=list)
    _reads_clock: bool = False

    def words(self, words: Sequence[Word], now: datetime) -> list[str]:
        """The words of a command, expanded and split."""
        self._reads_clock = False
        found: list[str] = []
        for word in words:
            text = self.text(word, now)
            whole = word.quoted or "$" not in word.text or ASSIGNMENT.match(word.text)
            found += [text] if whole and (text or word.quoted) else text.split()
        return found

    def text(self, word: Word, now: datetime) -> str:
        """A word as one text."""
        return "".join(self._expanded(text, now) if expands else text for text, expands in word.parts)

    def assign(self, assignment: str) -> None:
        """`NAME=value`."""
        name, _, value = assignment.partition("=")
        self.variables[name] = value

    def _expanded(self, text: str, now: datetime) -> str:
        return EXPANSION.sub(lambda found: self._value(found, now), text)

    def _value(self, found: re.Match[str], now: datetime) -> str:
        if found["sum"] is not None:
            return str(self._sum(found["sum"], now))
        command = found["command"] if found["command"] is not None else found["old"]
        if command is not None:
            return self._said(shlex.split(self._expanded(command, now)), now)
        name, _, default = (found["braced"] or found["name"] or "").partition(":-")
        if name in self.variables:
            return self.variables[name]
        if not default:
            raise UnknownError(found.group())
        return self._expanded(default, now)

    def _said(self, words: list[str], now: datetime) -> str:
        """What `date` or `echo` answer."""
        if words[:1] == ["echo"]:
            return " ".join(words[1:])
        if words[:1] != ["date"]:
            raise UnknownError(" ".join(words))
        form, when = None, None
        rest = iter(words[1:])
        for word in rest:
            if word.startswith("+"):
                form = word[1:]
            elif word in ("-d", "--date"):
                when = next(rest, "")
            elif word.startswith("--date="):
                when = word.removeprefix("--date=")
            elif word not in ("-u", "--utc", "--universal"):
                raise UnknownError(word)
        if form is None:
            raise UnknownError("date")
        self._reads_clock = self._reads_clock or when is None
        moment = now if when is None else times.moment(when, now)
        return moment.strftime(form.replace("%s", str(int(moment.timestamp()))))

    def _sum(self, expression: str, now: datetime) -> int:
        text = self._expanded(expression, now)
        text = NAME.sub(lambda name: self._variable(name.group()), text).replace("/", "//")
        try:
            return _calculated(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, ZeroDivisionError) as problem:
            raise UnknownError(expression) from problem

    def _variable(self, name: str) -> str:
        if name not in self.variables:
            raise UnknownError(name)
        return self.variables[name]

    def compare(self, expression: str, now: datetime) -> bool:
        """`(( a < b ))`."""
        sign = COMPARISON.search(expression)
        if sign is None:
            return self._sum(expression, now) != 0
        left = self._sum(expression[: sign.start()], now)
        right = self._sum(expression[sign.end() :], now)
        return self._compared(left, {"==": "-eq", "!=": "-ne"}.get(sign.group(), sign.group()), right, now)

    def test(self, words: Sequence[str], now: datetime, files: Container[str]) -> bool | None:
        """`[ … ]`; None where it asks for something that is not known."""
        words = [word for word in words if word not in ("]", "]]")]
        if words[:1] == ["!"]:
            failed = self.test(words[1:], now, files)
            return None if failed is None else not failed
        match words:
            case ["-n", text]:
                return bool(text)
            case ["-z", text]:
                return not text
            case ["-f" | "-e" | "-s" | "-x", path]:
                return True if path in files else None
            case [left, sign, right] if sign in TEXTS:
                return TEXTS[sign](left, right)
            case [left, sign, right] if sign in NUMBERS:
                return self._compared(_integer(left), sign, _integer(right), now)
        return None

    def _compared(self, left: int, sign: str, right: int, now: datetime) -> bool:
        apart = timedelta(seconds=min(abs(left - right), int(times.FAR.total_seconds())))
        if self._reads_clock:
            self.turns_at.append(now + apart)
        return NUMBERS[sign](left, right)


def _integer(text: str) -> int:
    if not re.fullmatch(r"\s*-?\d+\s*", text):
        raise UnknownError(text)
    return int(text)


def _calculated(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_calculated(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in SUMS:
            return SUMS[type(op)](_calculated(left), _calculated(right))
    raise UnknownError(ast.dump(node))
