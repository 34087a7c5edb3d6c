"""Pruning by half: Galen against Torch-Pruning and onnxsim, side by side, one thread.

    python benchmarks/prune_peers.py coverage [FAMILY ...]   share of parameters kept per family, local and global
    python benchmarks/prune_peers.py speed                   seconds for a ResNet-56 and a 100 MB ResNet-50
    python benchmarks/prune_peers.py memory                  peak memory of galen-opt on a 1 GB transformer

`bound` is the network of the same family with every axis halved. Torch-Pruning is told the layers that must stay (the
outputs) and the numbers of heads, as its documentation asks; Galen and onnxsim get the ONNX file alone.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np
import onnx
import onnx_ir
import torch
import torch_pruning as tp
from onnxsim.pruning import apply_structured_pruning
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "helpers"), str(ROOT / "benchmarks")]

import families  # noqa: E402
import prune_networks  # noqa: E402
from onnx_text import difference, run  # noqa: E402

from galen.ir import Model  # noqa: E402
from galen.ir.clone import clone  # noqa: E402
from galen.ir.costs import costs  # noqa: E402
from galen.ir.coupling import apply_cut  # noqa: E402
from galen.ir.coupling.mask import mask  # noqa: E402
from galen.ir.io import load  # noqa: E402
from galen.passes.fold_batchnorm import FoldBatchNorm  # noqa: E402
from galen.passes.prune import Prune  # noqa: E402
from galen.passes.simplify import Simplify  # noqa: E402


def plain(data: bytes) -> Model:
    model = load(data)
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    return model


def by_galen(name: str, data: bytes, everywhere: bool) -> str:
    model = plain(data)
    cut, small = Prune(sparsity=0.5, global_=everywhere).cut(model), clone(model)
    apply_cut(small, cut)
    feeds = {str(v.name): x.numpy() for v, x in zip(model.graph.inputs, families.example(name), strict=True)}
    same = difference(run(small, feeds), run(mask(model, cut), feeds)) < 1e-4
    return f"{costs(small).parameters / costs(model).parameters:.2f}" + ("" if same else " WRONG")


def by_onnxsim(name: str, data: bytes, everywhere: bool) -> str:
    model = onnx_ir.to_proto(plain(data))
    del model.graph.value_info[:]  # it does not bring these up to date
    small = load(apply_structured_pruning(model, sparsity=0.5, global_sparsity=everywhere).SerializeToString())
    feeds = {str(v.name): x.numpy() for v, x in zip(small.graph.inputs, families.example(name), strict=True)}
    run(small, feeds)
    return f"{costs(small).parameters / costs(plain(data)).parameters:.2f}"


def by_torch_pruning(name: str, _: bytes, everywhere: bool) -> str:
    net, inputs = families.build(name), families.example(name)
    before = sum(p.numel() for p in net.parameters())
    prune_with_torch(net, inputs, everywhere)
    net(*inputs)
    return f"{sum(p.numel() for p in net.parameters()) / before:.2f}"


def prune_with_torch(net: nn.Module, inputs: tuple[torch.Tensor, ...], everywhere: bool = False) -> None:
    outputs = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1:]
    outputs += [head[-1] for head in getattr(net, "heads", [])] if isinstance(net, families.Yolo) else []
    heads = {m.qkv: m.heads for m in net.modules() if isinstance(m, families.FusedAttention)}
    importance = tp.importance.MagnitudeImportance(p=1)
    pruner = tp.pruner.BasePruner(
        net, inputs, importance, global_pruning=everywhere, pruning_ratio=0.5, ignored_layers=outputs, num_heads=heads
    )
    pruner.step()


def attempt(work: Callable[..., str], *arguments: object) -> str:
    """Return what `work` returns, or the name of the error: peers fail in many ways, and that is the result."""
    try:
        return work(*arguments)
    except Exception as error:
        return type(error).__name__


def coverage(names: list[str]) -> None:
    tools = [("Galen", by_galen), ("Torch-Pruning", by_torch_pruning), ("onnxsim", by_onnxsim)]
    print(f"{'family':14s} bound " + " ".join(f"{tool:>21s}" for tool, _ in tools) + "   (local, global)")
    for name in names or list(families.KNOWN):
        data = families.export(name)
        bound = costs(plain(families.export(name, 8))).parameters / costs(plain(data)).parameters
        cells = [", ".join(attempt(work, name, data, far) for far in (False, True)) for _, work in tools]
        print(f"{name:14s} {bound:.2f}  " + " ".join(f"{cell:>21s}" for cell in cells), flush=True)


def seconds(prepare: Callable[[], object], work: Callable[[object], object], times: int = 3) -> float:
    found = []
    for _ in range(times):
        subject = prepare()
        begun = time.perf_counter()
        work(subject)
        found.append(time.perf_counter() - begun)
    return float(np.min(found))


def speed() -> None:
    print(f"{'network':10s} {'MB':>5s} {'Galen':>8s} {'Torch-Pruning':>14s} {'onnxsim':>8s}   seconds, best of 3")
    with tempfile.TemporaryDirectory() as folder:
        for name, make in prune_networks.NETS.items():
            path = Path(folder) / f"{name}.onnx"
            prune_networks.export(name, path)
            image = (torch.randn(1, 3, 32, 32),)
            galen = seconds(lambda path=path: load(path), lambda model: Prune(sparsity=0.5).apply(model))
            torch_pruning = seconds(make, lambda net, image=image: prune_with_torch(net, image))
            onnxsim = seconds(lambda path=path: onnx.load(path), lambda model: apply_structured_pruning(model, 0.5))
            size = path.stat().st_size / 1e6
            print(f"{name:10s} {size:5.0f} {galen:8.3f} {torch_pruning:14.3f} {onnxsim:8.3f}", flush=True)


def memory() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "transformer.onnx"
        prune_networks.write_transformer(source)
        size = source.with_suffix(".data").stat().st_size / 1e6
        arguments = [str(source), "-o", str(Path(folder) / "half.onnx"), "-p", "prune{sparsity=0.5}"]
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "galen.opt", *arguments], check=True)
        peak = getrusage(RUSAGE_CHILDREN).ru_maxrss / 1e3
        print(f"{size:.0f} MB model: peak {peak:.0f} MB, {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    torch.set_num_threads(1)
    command, *rest = sys.argv[1:] or ["coverage"]
    {"coverage": lambda: coverage(rest), "speed": speed, "memory": memory}[command]()
