"""The text syntax of pipelines: `item ::= name [{key=value …}] [(item, …)]`, items separated by commas.

A value is JSON, a bare word, or `@file` (`@"file with spaces"`), which stands for the file's content: printing a pass
writes the content, so that text round-trips without the file.
"""

import dataclasses
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from galen.ir.errors import GalenError, UsageError
from galen.ir.files import readable
from galen.passes import registry
from galen.passes.base import Pass
from galen.passes.fields import BARE, CHILDREN, convert, default_of, hints, key_of, options

_JSON = json.JSONDecoder()


class Value(NamedTuple):
    """A value in the text.

    Attributes:
        column: where it starts.
        data: decoded from JSON; the word itself if it is none.
        word: the text of a bare word or the content of a file, what a string field takes; None for other JSON.
        source: the file it comes from.
    """

    column: int
    data: Any
    word: str | None
    source: str | None = None


def parse(text: str) -> tuple[Pass, ...]:
    """Return the passes that `text` describes; an empty text describes none.

    Raises:
        UsageError: malformed text, an unknown pass or option, or a value of the wrong type; its column is set.
        GalenError: a file named by `@file` cannot be read.
    """
    reader = _Reader(text)
    passes = tuple(reader.items()) if reader.peek() else ()
    if reader.peek():
        raise reader.error(f"unexpected {reader.peek()!r}")
    return passes


class _Reader:
    """A position in a text, and one method per rule of the syntax."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def error(self, message: str, column: int | None = None, hint: str | None = None) -> UsageError:
        return UsageError(
            message, where="pipeline", hint=hint, text=self.text, column=self.at if column is None else column
        )

    def peek(self) -> str:
        """Return the next character that is no space, without taking it; empty at the end."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def take(self, character: str) -> bool:
        found = self.peek() == character
        self.at += found
        return found

    def expect(self, character: str) -> None:
        if not self.take(character):
            raise self.error(f"expected {character!r}" + ("" if self.peek() else ", the text ends here"))

    def word(self, what: str) -> str:
        self.peek()
        match = BARE.match(self.text, self.at)
        if match is None:
            raise self.error(f"expected {what}")
        self.at = match.end()
        return match.group()

    def items(self) -> Iterator[Pass]:
        yield self.item()
        while self.take(","):
            yield self.item()

    def item(self) -> Pass:
        self.peek()
        column = self.at
        name = self.word("the name of a pass")
        kind = registry.find(name)
        if kind is None:
            raise self.error(
                f"unknown pass {name!r}", column, nearest(name, registry.names(), "galen-opt --list-passes")
            )
        values = self.values(name, kind)
        columns = {key: value.column for key, value in values.items()}
        arguments = {options(kind)[key].name: self.converted(kind, key, value) for key, value in values.items()}
        composite = any(field.name == CHILDREN for field in dataclasses.fields(kind))  # type: ignore[arg-type]
        if self.peek() == "(":
            if not composite:
                raise self.error(f"{name} takes no passes in parentheses")
            arguments[CHILDREN] = self.children()
        return self.build(kind, arguments, column, columns)

    def children(self) -> tuple[Pass, ...]:
        self.expect("(")
        if self.take(")"):
            return ()
        passes = tuple(self.items())
        self.expect(")")
        return passes

    def values(self, name: str, kind: type[Pass]) -> dict[str, Value]:
        """Read `{key=value …}`; return the values by key, unconverted."""
        values: dict[str, Value] = {}
        if not self.take("{"):
            return values
        while not self.take("}"):
            self.peek()
            column = self.at
            key = self.word("an option or '}'")
            if key not in options(kind):
                hint = nearest(key, options(kind), f"galen-opt --help-pass {name}")
                raise self.error(f"{name} has no option {key!r}", column, hint)
            if key in values:
                raise self.error(f"option {key!r} is given twice", column)
            self.expect("=")
            values[key] = self.value()
        return values

    def value(self) -> Value:
        character, column = self.peek(), self.at
        if character == "@":
            return self.file()
        if character and character in '"[{':
            return Value(column, self.json(), None)
        word = self.word("a value")
        try:
            return Value(column, json.loads(word), word)
        except (json.JSONDecodeError, RecursionError):
            return Value(column, word, word)

    def json(self) -> Any:
        try:
            data, self.at = _JSON.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            raise self.error(f"malformed value: {error.msg}", min(error.pos, len(self.text))) from error
        except RecursionError as error:
            raise self.error("malformed value: nested too deeply") from error
        return data

    def file(self) -> Value:
        column = self.at
        self.expect("@")
        name = str(self.json() if self.peek() == '"' else self.word("the name of a file"))
        path = Path(name)
        with readable(path):
            content = path.read_bytes()
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise GalenError("is not a text file", where=str(path)) from error
        try:
            return Value(column, json.loads(text), text, name)
        except (json.JSONDecodeError, RecursionError):
            return Value(column, text, text, name)

    def converted(self, kind: type[Pass], key: str, value: Value) -> Any:
        try:
            return convert(hints(kind)[options(kind)[key].name], value.data, value.word)
        except ValueError as error:
            raise self.error(f"option {key!r}: {error}", value.column) from error
        except GalenError as error:
            raise GalenError(str(error), where=value.source or f"option {key}") from error

    def build(self, kind: type[Pass], arguments: dict[str, Any], column: int, columns: dict[str, int]) -> Pass:
        fields = options(kind).items()
        missing = [key for key, f in fields if default_of(f) is dataclasses.MISSING and f.name not in arguments]
        if missing:
            raise self.error(f"{kind.name} needs the option {missing[0]!r}", column)
        try:
            return kind(**arguments)
        except UsageError as error:
            place = columns.get(key_of(error.where or ""), column)
            raise self.error(str(error), place) from error


def nearest(word: str, known: "Any", otherwise: str) -> str:
    """Return a hint: the known word that is most like `word`, or where to look."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"see {otherwise}"
