"""The shell's grammar, as much of it as is needed: text to a tree of commands."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

OPERATOR = re.compile(r"&&|\|\||;;|<<<|<<-|<<|&>>?|\d*>>|\d*>&[\d-]?|\d*>|\d*<|[;&|()\n]")
REDIRECTIONS = ("<", ">")
BLANK = re.compile(r"(?:[ \t\r]|\\\n)+")
LIST_ENDS = frozenset({"then", "elif", "else", "fi", "do", "done", "}", ")", ";;", "esac"})
BEFORE_A_COMMAND = frozenset({"if", "elif", "while", "until", "then", "do", "else", "!", "{"})
CLOSERS = {"for": "done", "select": "done", "case": "esac", "function": "}"}
OPENERS = {"do": "done", "case": "esac", "if": "fi", "{": "}"}


class SyntaxProblemError(ValueError):
    """A script that this grammar does not cover."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word in its parts; those that are not in single quotes are expanded."""

    parts: tuple[tuple[str, bool], ...]
    start: int
    end: int
    quoted: bool

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.parts)


@dataclass(frozen=True, slots=True)
class Operator:
    text: str
    start: int
    end: int


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
Token = Word | Operator


def parse(text: str) -> tuple[Node, ...]:
    """The commands of a script."""
    parser = _Parser(text, _Lexer(text).tokens())
    nodes = parser.commands(())
    if parser.here is not None:
        raise SyntaxProblemError(f"unexpected {parser.here.text!r}")
    return nodes


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tokens: list[Token] = []
        self._heredocs: list[tuple[int, bool]] = []

    def tokens(self) -> list[Token]:
        while self._at < len(self._text):
            if found := BLANK.match(self._text, self._at):
                self._at = found.end()
            elif self._text[self._at] == "#":
                self._at = self._end_of_line(self._at)
            elif self._text.startswith("((", self._at) and self._is_at_command:
                self._arithmetic()
            elif found := OPERATOR.match(self._text, self._at):
                self._operator(found.group())
            else:
                self._tokens.append(self._word())
        return self._tokens

    @property
    def _is_at_command(self) -> bool:
        last = self._tokens[-1] if self._tokens else None
        return not isinstance(last, Word) or last.text in BEFORE_A_COMMAND

    def _arithmetic(self) -> None:
        """`((…))` as a command of that name with one argument."""
        end = self._text.find("))", self._at)
        if end < 0:
            raise SyntaxProblemError("arithmetic that does not end")
        expression = self._text[self._at + 2 : end]
        for text in ("((", expression):
            self._tokens.append(Word(((text, True),), self._at, end + 2, quoted=True))
        self._at = end + 2

    def _operator(self, text: str) -> None:
        start, self._at = self._at, self._at + len(text)
        self._tokens.append(Operator(text, start, self._at))
        if text in ("<<", "<<-"):
            self._heredocs.append((len(self._tokens), text == "<<-"))
        if text == "\n":
            for index, dedent in self._heredocs:
                self._read_heredoc(index, dedent=dedent)
            self._heredocs.clear()

    def _read_heredoc(self, index: int, *, dedent: bool) -> None:
        """Put the document in the place of the word that says where it ends."""
        mark = self._tokens[index] if index < len(self._tokens) else None
        if not isinstance(mark, Word):
            raise SyntaxProblemError("a here-document without a word to end it")
        lines = []
        while self._at < len(self._text):
            end = self._end_of_line(self._at)
            line, self._at = self._text[self._at : end], end + 1
            line = line.lstrip("\t") if dedent else line
            if line.rstrip("\r") == mark.text:
                break
            lines.append(line + "\n")
        document = "".join(lines)
        self._tokens[index] = Word(((document, not mark.quoted),), mark.start, mark.end, quoted=True)

    def _end_of_line(self, at: int) -> int:
        end = self._text.find("\n", at)
        return len(self._text) if end < 0 else end

    def _word(self) -> Word:
        start, parts, quoted = self._at, [], False
        while self._at < len(self._text) and not self._ends_word():
            char = self._text[self._at]
            if char == "'":
                parts.append((self._until_quote(), False))
                quoted = True
            elif char == '"':
                parts.append((self._until_double_quote(), True))
                quoted = True
            elif char == "\\":
                parts.append((self._text[self._at + 1 : self._at + 2], False))
                self._at += 2
            else:
                parts.append((self._plain(), True))
        return Word(tuple(parts), start, self._at, quoted)

    def _ends_word(self) -> bool:
        char = self._text[self._at]
        return char in " \t\r\n;&|()<>" and not self._text.startswith("\\\n", self._at)

    def _until_quote(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise SyntaxProblemError("a quote that does not end")
        text, self._at = self._text[self._at + 1 : end], end + 1
        return text

    def _until_double_quote(self) -> str:
        found = re.compile(r'"((?:\\.|\$\((?:[^()]|\([^()]*\))*\)|[^"\\])*)"', re.DOTALL).match(
            self._text, self._at
        )
        if found is None:
            raise SyntaxProblemError("a quote that does not end")
        self._at = found.end()
        return re.sub(r'\\(["\\`\n])', lambda one: one.group(1).strip("\n"), found.group(1))

    def _plain(self) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in "'\"\\" and not self._ends_word():
            if self._text.startswith("$(", self._at):
                self._skip_parentheses()
            elif self._text[self._at] == "`":
                self._at = self._text.find("`", self._at + 1) + 1 or len(self._text)
            else:
                self._at += 1
        return self._text[start : self._at]

    def _skip_parentheses(self) -> None:
        depth = 0
        while self._at < len(self._text):
            char = self._text[self._at]
            self._at += 1
            depth += {"(": 1, ")": -1}.get(char, 0)
            if depth == 0 and char == ")":
                return
        raise SyntaxProblemError("a parenthesis that does not end")


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
