"""Numbers and names as people read them."""

import re
from collections.abc import Sequence

UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def quantity(value: float) -> str:
    """Return `41.2 M` for 41.2e6: three significant digits and a decimal prefix."""
    for factor, prefix in UNITS:
        if abs(value) >= factor:
            return f"{_three(value / factor)} {prefix}"
    return _three(value)


def milliseconds(value: float | None) -> str:
    """Return a time of `value` ms in the unit that suits it."""
    if value is None:
        return "–"
    return f"{_three(value * 1e3)} µs" if abs(value) < 0.1 else f"{_three(value)} ms"


def percent(share: float | None) -> str:
    """Return a share of 1 as a percentage with two decimals, the resolution of 10,000 images."""
    return "–" if share is None else f"{share * 100:.2f} %"


def size(count: float) -> str:
    """Return a number of bytes in binary units."""
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= factor:
            return f"{_three(count / factor)} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Return `2 h 05 min`, `4 min 10 s` or `12.3 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def bits(width: int) -> str:
    """Return a width as the name of its type."""
    return {32: "fp32", 16: "fp16"}.get(width, f"{width} bit")


def short_names(names: Sequence[str], longest: int = 22) -> tuple[str, ...]:
    """Return names for axes: exporters' paths without what repeats (`/layer1/layer1.0/conv1/Conv`: `layer1.0.conv1`).

    Names that would collide keep their full form; longer ones than `longest` lose their middle.
    """
    shortened = [_shorten(name) for name in names]
    kept = [short if shortened.count(short) == 1 else name for name, short in zip(names, shortened, strict=True)]
    half = longest // 2
    return tuple(name if len(name) <= longest else f"{name[: half - 1]}…{name[-half:]}" for name in kept)


def _shorten(name: str) -> str:
    parts = [part for part in name.split("/") if part]
    if len(parts) > 1 and re.fullmatch(r"[A-Z][A-Za-z]*(_\d+)?", parts[-1]):
        parts.pop()  # the operator type, which the exporter appends
    kept: list[str] = []
    for part in parts:
        if kept and part.startswith(f"{kept[-1]}."):
            kept[-1] = part
        else:
            kept.append(part)
    return ".".join(kept) or name


def _three(value: float) -> str:
    if value == 0:
        return "0"
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e" in text else text
