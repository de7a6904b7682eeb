"""The shell's grammar, as much of it as is needed: text to a tree of commands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from localaws.ec2.guest.lexer import Operator, SyntaxProblemError, Token, Word, tokens_of

REDIRECTIONS = ("<", ">")
LIST_ENDS = frozenset({"then", "elif", "else", "fi", "do", "done", "}", ")", ";;", "esac"})
CLOSERS = {"for": "done", "select": "done", "case": "esac", "function": "}"}
OPENERS = {"do": "done", "case": "esac", "if": "fi", "{": "}"}


@dataclass(frozen=True, slots=True)
class Simple:
    """A command with its redirections; `stdin` is a here-document or here-string."""

    words: tuple[Word, ...]
    redirections: tuple[tuple[str, Word], ...]
    stdin: Word | None
    source: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Node, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Chain:
    """`first && second || third`."""

    first: Node
    rest: tuple[tuple[str, Node], ...]
    source: str


@dataclass(frozen=True, slots=True)
class Background:
    body: Node
    source: str


@dataclass(frozen=True, slots=True)
class Group:
    """`( … )` or `{ … }`."""

    body: tuple[Node, ...]
    source: str


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[tuple[tuple[Node, ...], tuple[Node, ...]], ...]
    otherwise: tuple[Node, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Loop:
    """`while`, or `until`, which goes on while its condition fails."""

    until: bool
    condition: tuple[Node, ...]
    body: tuple[Node, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """What is left out: `for`, `case`, functions."""

    source: str


Node = Simple | Pipeline | Chain | Background | Group | If | Loop | Opaque


def parse(text: str) -> tuple[Node, ...]:
    """The commands of a script."""
    parser = _Parser(text, tokens_of(text))
    nodes = parser.commands(())
    if parser.here is not None:
        raise SyntaxProblemError(f"unexpected {parser.here.text!r}")
    return nodes


class _Parser:
    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0

    @property
    def here(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def commands(self, ends: Collection[str]) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while True:
            while self._is_operator(";", "\n"):
                self._at += 1
            if self.here is None or self._is(*ends):
                return tuple(nodes)
            if self._is(*LIST_ENDS):
                raise SyntaxProblemError(f"unexpected {self.here.text!r}")
            node = self._chain()
            if self._is_operator("&"):
                self._at += 1
                node = Background(node, node.source)
            nodes.append(node)

    def _chain(self) -> Node:
        start = self._start()
        first, rest = self._pipeline(), []
        while self._is_operator("&&", "||"):
            operator = self._take().text
            self._skip_newlines()
            rest.append((operator, self._pipeline()))
        return Chain(first, tuple(rest), self._source(start)) if rest else first

    def _pipeline(self) -> Node:
        start = self._start()
        commands = [self._command()]
        while self._is_operator("|"):
            self._at += 1
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), self._source(start)) if len(commands) > 1 else commands[0]

    def _command(self) -> Node:
        start = self._start()
        if self._is_operator("("):
            self._at += 1
            return self._group(")", start)
        if self._is("{"):
            self._at += 1
            return self._group("}", start)
        if self._is("if"):
            return self._if(start)
        if self._is("while", "until"):
            until = self._take().text == "until"
            condition = self._part("do")
            return Loop(until, condition, self._part("done"), self._closed(start))
        if self._is(*CLOSERS):
            return self._opaque(start)
        return self._simple(start)

    def _group(self, end: str, start: int) -> Node:
        body = self._part(end)
        return Group(body, self._closed(start))

    def _if(self, start: int) -> Node:
        branches = []
        otherwise: tuple[Node, ...] = ()
        while self._is("if", "elif"):
            self._at += 1
            condition = self._part("then")
            branches.append((condition, self.commands(("elif", "else", "fi"))))
        if self._is("else"):
            self._at += 1
            otherwise = self.commands(("fi",))
        self._expect("fi")
        return If(tuple(branches), otherwise, self._closed(start))

    def _part(self, end: str) -> tuple[Node, ...]:
        body = self.commands((end,))
        self._expect(end)
        return body

    def _closed(self, start: int) -> str:
        """The source of a compound command, and past what is redirected after it."""
        while self._is_redirection():
            self._redirection()
        return self._source(start)

    def _opaque(self, start: int) -> Node:
        closer = CLOSERS[self._take().text]
        depth = 0
        while self.here is not None:
            text = self._take().text
            if text == closer and depth <= (0 if closer == "esac" else 1):
                return Opaque(self._source(start))
            depth += (text in OPENERS) - (text in OPENERS.values())
        raise SyntaxProblemError(f"no {closer!r}")

    def _simple(self, start: int) -> Node:
        words: list[Word] = []
        redirections: list[tuple[str, Word]] = []
        stdin: Word | None = None
        while (token := self.here) is not None:
            if isinstance(token, Word):
                words.append(token)
                self._at += 1
            elif token.text == "(" and len(words) == 1:  # name() { … }
                self._at -= 1
                return self._function(start)
            elif not self._is_redirection():
                break
            else:
                operator, target = self._redirection()
                if operator.startswith("<<"):
                    stdin = target
                elif target is not None:
                    redirections.append((operator, target))
        if self._start() == start:
            raise SyntaxProblemError("a command was expected")
        return Simple(tuple(words), tuple(redirections), stdin, self._source(start))

    def _function(self, start: int) -> Node:
        self._at += 3
        self._skip_newlines()
        if not self._is("{"):
            raise SyntaxProblemError("a function without a body")
        self._at += 1
        self._part("}")
        return Opaque(self._source(start))

    def _redirection(self) -> tuple[str, Word | None]:
        operator = self._take().text
        if "&" in operator and not operator.startswith("&"):  # 2>&1
            return operator, None
        target = self._take()
        if not isinstance(target, Word):
            raise SyntaxProblemError("a redirection to nowhere")
        return operator, target

    def _is_redirection(self) -> bool:
        token = self.here
        return isinstance(token, Operator) and token.text.strip("&0123456789-")[:1] in REDIRECTIONS

    def _is(self, *texts: str) -> bool:
        token = self.here
        return token is not None and token.text in texts and not (isinstance(token, Word) and token.quoted)

    def _is_operator(self, *texts: str) -> bool:
        return isinstance(self.here, Operator) and self.here.text in texts

    def _expect(self, text: str) -> None:
        if not self._is(text):
            raise SyntaxProblemError(f"no {text!r}")
        self._at += 1

    def _take(self) -> Token:
        token = self.here
        if token is None:
            raise SyntaxProblemError("the script ends too early")
        self._at += 1
        return token

    def _skip_newlines(self) -> None:
        while self._is_operator("\n"):
            self._at += 1

    def _start(self) -> int:
        return self.here.start if self.here else len(self._text)

    def _source(self, start: int) -> str:
        return self._text[start : self._tokens[self._at - 1].end].strip()
