"""A little pruning must not make a network slower on its target: latency at 1 % to 10 %, rounded to the target or not.

python benchmarks/prune_small.py MODEL.onnx [--target cortex-a72] [--sparsities 0.02 0.05 0.1]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from galen.backends.targets import find
from galen.ir.io import load, save
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.prune import Prune
from galen.passes.simplify import Simplify


def latency(model: Path, target: str) -> float:
    """Return the milliseconds of one inference of the compiled network."""
    command = [str(Path(sys.executable).with_name("galen")), "measure", str(model), "--target", target, "--json"]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["latency_ms"]["median"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--target", default="cortex-a72")
    parser.add_argument("--sparsities", type=float, nargs="+", default=[step / 100 for step in range(1, 11)])
    arguments = parser.parse_args()
    model = load(arguments.model)
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    limits = find(arguments.target).limits
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pruned.onnx"
        save(model, path)
        whole = latency(path, arguments.target)
        print(
            f"whole network: {whole:.3f} ms; sparsity, then ms rounded to {limits.channel_multiple} and not rounded",
            flush=True,
        )
        for sparsity in arguments.sparsities:
            found = []
            for asked in (limits, None):
                small = model.clone()
                Prune(sparsity=sparsity, limits=asked).apply(small)
                save(small, path)
                found.append(latency(path, arguments.target))
            verdict = "ok" if found[0] <= whole * 1.0005 else "SLOWER"
            print(f"{sparsity:6.0%}  {found[0]:.3f}  {found[1]:.3f}  {verdict}", flush=True)


if __name__ == "__main__":
    main()
