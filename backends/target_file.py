"""The file form of a target: JSON, described in `docs/targets.md`; every error names the field."""

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from galen.backends.emulator.pipeline import tables
from galen.backends.target import Target
from galen.ir.errors import GalenError
from galen.passes.policy import FP32, Bits
from galen.passes.space import Limits


class _Form(NamedTuple):
    """What a field must be: in words, and as a test."""

    words: str
    fits: Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_count(bits) and bits <= 32 for bits in value)


_TEXT = _Form("a text", lambda v: isinstance(v, str))
_TEXTS = _Form("a list of texts", lambda v: isinstance(v, list) and all(isinstance(text, str) for text in v))
_COUNT = _Form("a whole number above 0", _is_count)
_RATE = _Form("a number above 0", lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v > 0)
_OBJECT = _Form("an object", lambda v: isinstance(v, dict))
_PAIRS = _Form(
    "a list of pairs [weight bits, activation bits]", lambda v: isinstance(v, list) and all(_is_pair(p) for p in v)
)

_LEVELS = ("l1", "l2", "l3")
_REQUIRED = ("triple", "cpu")
_FIELDS: Mapping[str, _Form] = {
    "name": _TEXT,
    "description": _TEXT,
    "triple": _TEXT,
    "cpu": _TEXT,
    "features": _TEXTS,
    "aliases": _TEXTS,
    "pipeline": _TEXT,
    "cores": _COUNT,
    "frequency_hz": _RATE,
    "bandwidth": _RATE,
    "caches": _OBJECT,
    "limits": _OBJECT,
}
_CACHES = {"line": _COUNT} | {f"{level}{end}": _COUNT for level in _LEVELS for end in ("", "_ways")}
_LIMITS = {"channel_multiple": _COUNT, "minimum_channels": _COUNT, "widths": _OBJECT}


def read_target(path: Path) -> Target:
    """Return the target that a file describes; without a name of its own it has the file's.

    Raises:
        GalenError: the file cannot be read, or a field is missing, unknown or malformed: names it.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GalenError(f"cannot read the target: {error.strerror}", where=str(path)) from error
    except ValueError as error:
        raise GalenError(f"not a target: {error}", where=str(path), hint="see docs/targets.md") from error
    try:
        _check(fields)
    except GalenError as error:
        raise GalenError(f"not a target: {error}", where=str(path), hint="see docs/targets.md") from error
    return _target(path.stem, fields)


def _check(fields: Any) -> None:
    if not isinstance(fields, dict):
        raise GalenError("an object is expected")
    _check_fields("", fields, _FIELDS)
    for field in _REQUIRED:
        if field not in fields:
            raise GalenError(f"the field '{field}' is missing")
    _check_caches(fields.get("caches", {}), fields.get("pipeline", ""))
    limits = fields.get("limits", {})
    _check_fields("limits.", limits, _LIMITS)
    widths = limits.get("widths", {})
    _check_fields("limits.widths.", widths, dict.fromkeys(widths, _PAIRS))


def _check_fields(prefix: str, fields: Mapping[str, Any], forms: Mapping[str, _Form]) -> None:
    for field, value in fields.items():
        if field not in forms:
            nearest = get_close_matches(field, forms, n=1, cutoff=0.0)[0]
            raise GalenError(f"the field '{prefix}{field}' is unknown, the nearest is '{prefix}{nearest}'")
        if not forms[field].fits(value):
            raise GalenError(f"the field '{prefix}{field}' must be {forms[field].words}, not {json.dumps(value)}")


def _check_caches(caches: Mapping[str, int], table: str) -> None:
    """See that a core with a pipeline table has one, and caches that can be simulated."""
    _check_fields("caches.", caches, _CACHES)
    if not table:
        return
    if table not in tables():
        raise GalenError(f"the field 'pipeline' names no table '{table}'; there are {', '.join(tables())}")
    needed = ["line", "l1", *(f"{level}_ways" for level in _LEVELS if level in caches)]
    for field in needed:
        if field not in caches:
            raise GalenError(f"the field 'caches.{field}' is missing, which 'pipeline' needs")
    for level in filter(caches.__contains__, _LEVELS):
        if caches[level] % (caches["line"] * caches[f"{level}_ways"]):
            raise GalenError(f"the field 'caches.{level}' must be a multiple of line x ways")


def _target(name: str, fields: Mapping[str, Any]) -> Target:
    limits = fields.get("limits", {})
    widths = {op: (FP32, *(Bits(*pair) for pair in pairs)) for op, pairs in limits.get("widths", {}).items()}
    lists = {field: tuple(fields.get(field, ())) for field in ("features", "aliases")}
    return Target(**{"name": name, **fields, **lists, "limits": Limits(**{**limits, "widths": widths})})
