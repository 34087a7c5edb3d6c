"""What the passes are and what their options mean, from their dataclasses and docstrings."""

import dataclasses
import inspect
import typing
from typing import Any

from galen.ir import UsageError
from galen.passes import registry
from galen.passes.base import Pass
from galen.passes.fields import default_of, hints, options, text_of
from galen.passes.text import nearest


def listing() -> str:
    """Return one line per pass: its name and the first line of its docstring."""
    rows = [(name, _doc(kind).partition("\n")[0]) for name in registry.names() if (kind := registry.find(name))]
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:{width}}  {line}\n" for name, line in rows)


def describe(name: str) -> str:
    """Return the docstring of a pass and its options with types and defaults.

    Raises:
        UsageError: there is no such pass.
    """
    kind = registry.find(name)
    if kind is None:
        hint = nearest(name, registry.names(), "galen-opt --list-passes")
        raise UsageError(f"unknown pass {name!r}", where="--help-pass", hint=hint)
    lines = [f"{name}: {_doc(kind)}", ""]
    if kind.tolerance is None:
        lines.append("Changes the model's outputs.")
    else:
        lines.append(f"Keeps the model's outputs to {kind.tolerance:g} of their largest magnitude.")
    lines += _option_lines(kind)
    return "\n".join(lines) + "\n"


def _option_lines(kind: type[Pass]) -> list[str]:
    types = hints(kind)
    rows = [(key, type_text(types[f.name]), _default_text(f)) for key, f in options(kind).items()]
    if not rows:
        return ["No options."]
    return ["Options:", *(f"  {key}={text}{default}" for key, text, default in rows)]


def _default_text(field: dataclasses.Field[Any]) -> str:
    default = default_of(field)
    return "  (required)" if default is dataclasses.MISSING else f"  (default {text_of(default)})"


def type_text(hint: Any) -> str:
    """Return a type as a user would say it: `int`, `l1|l2`, `[str, …]`."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "|".join(map(str, arguments))
    if typing.get_origin(hint) is tuple:
        return f"[{type_text(arguments[0])}, …]"
    if arguments:
        return "|".join(type_text(a) for a in arguments if a is not type(None))
    return str(getattr(hint, "__name__", hint))


def _doc(kind: type[Pass]) -> str:
    return inspect.getdoc(kind) or "(no description)"
