"""Pruning by half: Galen against Torch-Pruning and onnxsim, side by side, one thread.

    python benchmarks/prune_peers.py coverage [FAMILY ...]   share of parameters kept per family, local and global
    python benchmarks/prune_peers.py speed                   seconds, and weights left, of ResNet-56, -18 and -50
    python benchmarks/prune_peers.py memory                  peak memory and seconds on a 1 GB transformer, as commands

`bound` is the network of the same family with every axis halved. Torch-Pruning is told the layers that must stay (the
outputs) and the numbers of heads, as its documentation asks; Galen and onnxsim get the ONNX file alone.
"""

import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any

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
from galen.ir.io import load, save  # noqa: E402
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


@dataclass(frozen=True)
class Contest:
    """What one tool does with a network: `read` what is not timed, `prune` what is; `size` of a result in weights."""

    read: Callable[[], Any]
    prune: Callable[[Any], Any]
    size: Callable[[Any], int]


def contests(name: str, path: Path) -> dict[str, Contest]:
    """Return how each tool prunes a network that lies in memory: bytes that were read, for those of ONNX."""
    data, image = path.read_bytes(), (torch.randn(1, 3, 32, 32),)

    def by_torch(net: nn.Module) -> nn.Module:
        prune_with_torch(net, image)
        return net

    return {
        "Galen": Contest(lambda: load(data), halved, weights_of),
        "Torch-Pruning": Contest(
            lambda: prune_networks.network(name), by_torch, lambda net: sum(p.numel() for p in net.parameters())
        ),
        "onnxsim": Contest(
            lambda: onnx.load_from_string(data), lambda model: apply_structured_pruning(model, 0.5), tensors_of
        ),
    }


def halved(model: Model) -> Model:
    Prune(sparsity=0.5).apply(model)
    return model


def weights_of(model: Model) -> int:
    return sum(value.const_value.size for value in model.graph.initializers.values())


def tensors_of(model: onnx.ModelProto) -> int:
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)


def through_files(path: Path) -> dict[str, Contest]:
    """Return how the tools for ONNX prune from a file to a file."""
    out = path.with_name("out.onnx")

    def galen() -> None:
        save(halved(load(path)), out)

    def onnxsim() -> None:
        onnx.save(apply_structured_pruning(onnx.load(path), 0.5), out)

    tools = (("Galen, file to file", galen), ("onnxsim, file to file", onnxsim))
    return {
        name: Contest(lambda: None, lambda _, work=work: work(), lambda _: tensors_of(onnx.load(out)))
        for name, work in tools
    }


def as_commands(path: Path) -> dict[str, Contest]:
    """Return the same as commands, with the time that a tool takes to start."""
    out = path.with_name("out.onnx")
    return {
        f"{tool}, command": Contest(
            lambda: None, lambda _, words=words: subprocess.run(words, check=True), lambda _: tensors_of(onnx.load(out))
        )
        for tool, words in commands(path, out).items()
    }


def commands(path: Path, out: Path) -> dict[str, list[str]]:
    """Return what is typed to prune a file by half. The command of onnxsim does not prune, its library does."""
    library = (
        "import sys, onnx; from onnxsim.pruning import apply_structured_pruning as prune; "
        "onnx.save(prune(onnx.load(sys.argv[1]), 0.5), sys.argv[2], save_as_external_data=len(sys.argv) > 3)"
    )
    external = ["external"] if path.with_suffix(".data").exists() else []
    return {
        "Galen": [sys.executable, "-m", "galen.opt", str(path), "-o", str(out), "-p", "prune{sparsity=0.5}"],
        "onnxsim": [sys.executable, "-c", library, str(path), str(out), *external],
    }


def processor_seconds() -> float:
    """Return what this process and its children have used."""
    used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def speed(rounds: int = 7) -> None:
    """Print processor seconds, the best of several rounds in which the tools take turns."""
    print(f"{'network':10s} {'MB':>5s} {'tool':22s} {'seconds':>8s} {'weights left':>13s}")
    gc.collect()
    gc.freeze()  # what torch keeps alive is nobody's garbage
    with tempfile.TemporaryDirectory() as folder:
        for name in prune_networks.NETS:
            path = Path(folder) / f"{name}.onnx"
            prune_networks.export(name, path)
            tools = contests(name, path) | through_files(path) | as_commands(path)
            best, left = dict.fromkeys(tools, np.inf), dict.fromkeys(tools, 0.0)
            for _ in range(rounds):
                for tool, contest in tools.items():
                    subject = contest.read()
                    begun = processor_seconds()
                    result = contest.prune(subject)
                    best[tool] = min(best[tool], processor_seconds() - begun)
                    left[tool] = contest.size(result) / tensors_of(onnx.load(path))
            for tool in tools:
                size = path.stat().st_size / 1e6
                print(f"{name:10s} {size:5.0f} {tool:22s} {best[tool]:8.4f} {left[tool]:13.2f}", flush=True)


def memory() -> None:
    """Print what pruning a transformer with external data takes, and how many of its weights are left."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "transformer.onnx", Path(folder) / "half.onnx"
        prune_networks.write_transformer(source)
        size = source.with_suffix(".data").stat().st_size / 1e6
        whole = tensors_of(onnx.load(source, load_external_data=False))
        for tool, words in commands(source, out).items():
            begun = time.perf_counter()
            process = subprocess.Popen(words)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds, left = time.perf_counter() - begun, tensors_of(onnx.load(out, load_external_data=False)) / whole
            print(
                f"{size:.0f} MB, {tool}: peak {used.ru_maxrss / 1e3:.0f} MB, {seconds:.1f} s, {left:.2f} left",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    command, *rest = sys.argv[1:] or ["coverage"]
    {"coverage": lambda: coverage(rest), "speed": speed, "memory": memory}[command]()
