"""Finding passes by name: Galen's own (a module of this package each) and those that other packages bring.

Another package registers a pass by an entry point in the group `galen.passes`, named after the pass.
"""

import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points

import galen.passes
from galen.ir import plugins
from galen.ir.errors import GalenError
from galen.passes.base import Pass

GROUP = "galen.passes"


def find(name: str) -> type[Pass] | None:
    """Return the pass called `name`, importing only what it needs; None when there is none.

    Raises:
        GalenError: the package that brings the pass cannot be imported.
    """
    if name not in Pass.registry:
        module = name.replace("-", "_")
        if module in {info.name for info in pkgutil.iter_modules(galen.passes.__path__)}:
            importlib.import_module(f"{galen.passes.__name__}.{module}")
    if name not in Pass.registry:
        for entry in entry_points(group=GROUP, name=name):
            _load(entry)
    if name not in Pass.registry:
        _import_all()
    return Pass.registry.get(name)


def names() -> list[str]:
    """Return the names of all passes, sorted."""
    _import_all()
    for entry in entry_points(group=GROUP):
        _load(entry)
    return sorted(Pass.registry)


def _import_all() -> None:
    for info in pkgutil.iter_modules(galen.passes.__path__):
        importlib.import_module(f"{galen.passes.__name__}.{info.name}")


def _load(entry: EntryPoint) -> None:
    kind = plugins.load(entry)
    if not (isinstance(kind, type) and issubclass(kind, Pass)):
        raise GalenError("is not a pass", where=f"entry point {entry.name} = {entry.value}", hint="point to the class")
    Pass.registry.setdefault(entry.name, kind)
