"""The shell's words and operators."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPERATOR = re.compile(r"&&|\|\||;;|<<<|<<-|<<|&>>?|\d*>>|\d*>&[\d-]?|\d*>|\d*<|[;&|()\n]")
BLANK = re.compile(r"(?:[ \t\r]|\\\n)+")
DOUBLE_QUOTED = re.compile(r'"((?:\\.|\$\((?:[^()]|\([^()]*\))*\)|[^"\\])*)"', re.DOTALL)
BEFORE_A_COMMAND = frozenset({"if", "elif", "while", "until", "then", "do", "else", "!", "{"})


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


Token = Word | Operator


def tokens_of(text: str) -> list[Token]:
    """A script in its words and operators; a here-document stands in the place of the word that says where it ends."""
    return _Lexer(text).tokens()


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
        found = DOUBLE_QUOTED.match(self._text, self._at)
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
