"""Pruning by half of networks that the pass was not made with, from both exporters.

    python benchmarks/prune_families.py [FAMILY ...] [--exporter script|dynamo|both]

Per network: share of parameters kept, locally and globally; `bound`, that of the same network built at half its width;
the share of channels removed by the global ranking; the largest difference between the cut network and the masked one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from families import FAMILIES, MORE, example, export
from onnx_text import difference, run

from galen.ir import Model
from galen.ir.clone import clone
from galen.ir.costs import costs
from galen.ir.coupling import Cut, apply_cut, couple
from galen.ir.coupling.mask import mask
from galen.ir.io import load
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.prune import Prune
from galen.passes.simplify import Simplify


def plain(name: str, width: int, *, dynamo: bool) -> Model:
    model = load(export(name, width, dynamo=dynamo))
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    return model


def removed(model: Model, cut: Cut) -> float:
    """Return the share of all channels that can be cut which a cut removes."""
    sizes = {group.name: group.size for group in couple(model).groups}
    return sum(sizes[name] - len(kept) for name, kept in cut.groups.items()) / sum(sizes.values())


def row(name: str, *, dynamo: bool) -> str:
    model = plain(name, 16, dynamo=dynamo)
    whole, half = (costs(each).parameters for each in (model, plain(name, 8, dynamo=dynamo)))
    feeds = {str(v.name): x.numpy() for v, x in zip(model.graph.inputs, example(name), strict=True)}
    kept, gone, apart = [], 0.0, 0.0
    for everywhere in (False, True):
        cut, small = Prune(sparsity=0.5, global_=everywhere).cut(model), clone(model)
        apply_cut(small, cut)
        apart = float(np.fmax(apart, difference(run(small, feeds), run(mask(model, cut), feeds))))
        kept.append(costs(small).parameters / whole)
        gone = removed(model, cut)
    met = kept[0] <= 1.05 * half / whole and abs(gone - 0.5) <= 0.01 and apart < 1e-4
    figures = f"{half / whole:.3f}  {kept[0]:.3f}  {kept[1]:.3f}   {gone:.3f}    {apart:.1e}"
    return f"{figures}  {'ok' if met else 'SHORT'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=list(MORE))
    parser.add_argument("--exporter", choices=("script", "dynamo", "both"), default="both")
    arguments = parser.parse_args()
    print("family           exporter  bound  local  global  removed  difference")
    for name in arguments.families:
        assert name in FAMILIES | MORE, f"unknown family {name}"
        for exporter in ("script", "dynamo") if arguments.exporter == "both" else (arguments.exporter,):
            try:
                print(f"{name:16s} {exporter:8s}  {row(name, dynamo=exporter == 'dynamo')}", flush=True)
            except Exception as error:  # exporters fail in many ways, and that is the result
                print(f"{name:16s} {exporter:8s}  {type(error).__name__}", flush=True)


if __name__ == "__main__":
    main()
