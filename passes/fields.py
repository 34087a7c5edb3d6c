"""How a pass's fields are written in text: names with dashes, values as JSON or bare words, checked against types."""

import dataclasses
import json
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

BOUND = "galen.bound"
CHILDREN = "passes"
"""The field that holds a composite pass's own passes: written in parentheses."""

BARE = re.compile(r"""[^\s{}()\[\],="@][^\s{}()\[\],="]*""")


def options(kind: type) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields that text can set, by their name in text."""
    fields = dataclasses.fields(kind)
    return {key_of(f.name): f for f in fields if f.name != CHILDREN and BOUND not in f.metadata}


def key_of(field: str) -> str:
    """Return a field's name in text: `round_to` is `round-to`; `global_`, a Python keyword, is `global`."""
    return field.rstrip("_").replace("_", "-")


def hints(kind: type) -> dict[str, Any]:
    """Return the types of a pass's fields, resolved."""
    return typing.get_type_hints(kind)


def written(instance: Any) -> Iterator[str]:
    """Yield `key=value` for every option that differs from its default."""
    for key, field in options(type(instance)).items():
        value = getattr(instance, field.name)
        if value != default_of(field):
            yield f"{key}={text_of(value)}"


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Return a field's default, `dataclasses.MISSING` when it has none."""
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def text_of(value: Any) -> str:
    """Return a value as text that `convert` turns back into it: a bare word where that is not JSON, else JSON."""
    if isinstance(value, str) and BARE.fullmatch(value) and not _is_json(value):
        return value
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _is_json(word: str) -> bool:
    try:
        json.loads(word)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def convert(hint: Any, value: Any, word: str | None = None) -> Any:
    """Return `value` as the type `hint`.

    Args:
        hint: the field's type: bool, int, float, str, a Literal, a union, tuple[T, ...], a Mapping[str, T], or a class
            with `from_json`.
        value: what the text says, decoded.
        word: the text itself if it was a bare word: what a string field takes.

    Raises:
        ValueError: the value is not of that type; the message says what was expected.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, word)
    if origin is Literal:
        return _convert_literal(arguments, value, word)
    if origin is tuple:
        items = value if isinstance(value, list) else [value] if word is not None else None
        if items is None:
            raise ValueError("expected a list")
        return tuple(convert(arguments[0], item, item if isinstance(item, str) else word) for item in items)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError("expected an object")
        return {
            key: convert(arguments[1], item, item if isinstance(item, str) else None) for key, item in value.items()
        }
    if hasattr(hint, "from_json"):
        return hint.from_json(value)
    return _convert_plain(hint, value, word)


def _convert_union(arguments: tuple[Any, ...], value: Any, word: str | None) -> Any:
    if value is None and type(None) in arguments:
        return None
    expected = []
    for hint in arguments:
        try:
            if hint is not type(None):
                return convert(hint, value, word)
        except ValueError as error:
            expected.append(str(error).removeprefix("expected "))
    raise ValueError("expected " + " or ".join(expected))


def _convert_literal(choices: tuple[Any, ...], value: Any, word: str | None) -> Any:
    for choice in choices:
        if (word if isinstance(choice, str) and word is not None else value) == choice:
            return choice
    raise ValueError("expected " + " or ".join(str(choice) for choice in choices))


_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def _convert_plain(hint: Any, value: Any, word: str | None) -> Any:
    if hint is str and word is not None:
        return word
    kinds = int | float if hint is float else hint
    if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"expected {_EXPECTED.get(hint, hint.__name__)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    return hint(value)
