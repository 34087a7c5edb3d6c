"""Model compression as a compiler: prune and quantize ONNX networks for the latency of the ARM binary.

model = galen.load("net.onnx")
galen.Pipeline.parse("simplify,fold-batchnorm,prune{sparsity=0.5}").apply(model)
galen.measure(model, "cortex-a72").latency.median

Every name below is imported when it is first used, so that `import galen` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galen.api import compile as compile  # noqa: A004
    from galen.api import evaluate as evaluate
    from galen.api import measure as measure
    from galen.api import search as search
    from galen.ir import GalenError as GalenError
    from galen.ir import Model as Model
    from galen.ir import UsageError as UsageError
    from galen.ir.costs import costs as costs
    from galen.ir.dataset import open_dataset as open_dataset
    from galen.ir.fx import to_fx as to_fx
    from galen.ir.fx import trace as trace
    from galen.ir.io import load as load
    from galen.ir.io import save as save
    from galen.ir.show import show as show
    from galen.options import SearchOptions as SearchOptions
    from galen.passes.pipeline import Pipeline as Pipeline
    from galen.passes.policy import Policy as Policy

_HOMES = {
    "GalenError": "galen.ir",
    "Model": "galen.ir",
    "Pipeline": "galen.passes.pipeline",
    "Policy": "galen.passes.policy",
    "SearchOptions": "galen.options",
    "UsageError": "galen.ir",
    "compile": "galen.api",
    "costs": "galen.ir.costs",
    "evaluate": "galen.api",
    "load": "galen.ir.io",
    "measure": "galen.api",
    "open_dataset": "galen.ir.dataset",
    "save": "galen.ir.io",
    "search": "galen.api",
    "show": "galen.ir.show",
    "to_fx": "galen.ir.fx",
    "trace": "galen.ir.fx",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Return a public name, or the class of a pass: `galen.Prune` is `prune` in pipeline text."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name[:1].isupper() and (found := _passes().get(name)) is not None:
        return found
    raise AttributeError(f"module 'galen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_passes()])


def _passes() -> dict[str, Any]:
    from galen.passes import registry  # noqa: PLC0415

    return {kind.__name__: kind for kind in map(registry.find, registry.names()) if kind is not None}
