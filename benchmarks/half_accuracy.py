"""Accuracy in fp16: of the exported model in onnxruntime, and of its binary on an emulated core, beside fp32.

    python benchmarks/half_accuracy.py MODEL.onnx DATA.npz [--core cortex-a76] [--images 200]

The first column is of all images, the others are of the first few.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from galen.backends.accuracy import Accuracy
from galen.backends.execution import Network
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.dataset import open_dataset
from galen.ir.execute import session
from galen.ir.io import load
from galen.passes.pipeline import Pipeline

FP16 = "simplify,fold-batchnorm,quantize{weight-bits=16 activation-bits=16}"


def first(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    return next(iter(outputs.values()))


def on_core(model: Model, data: str, core: str, images: int) -> tuple[int, int, float]:
    """Return how many images the binary gets right, how many like onnxruntime, and the largest relative difference."""
    network, reference = Network(lower(model, find(core))), session(model)
    right, alike, largest = 0, 0, 0.0
    for batch in open_dataset(data, model).take(images).batches(1):
        found, expected = first(network.run(batch.inputs)), reference.run(None, dict(batch.inputs))[0]
        right += int(found.argmax() == batch.labels[0])
        alike += int(found.argmax() == expected.argmax())
        largest = max(largest, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return right, alike, largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data")
    parser.add_argument("--core", default="cortex-a76")
    parser.add_argument("--images", type=int, default=200)
    args = parser.parse_args()
    single = load(args.model)
    half = single.clone()
    Pipeline.parse(FP16).apply(half)
    print(f"| | top-1 in onnxruntime | right of {args.images} on {args.core} | class as in onnxruntime | difference |")
    print("|---|---|---|---|---|")
    for name, model in (("fp32", single), ("fp16", half)):
        score = Accuracy(open_dataset(args.data, model))(model).accuracy
        right, alike, largest = on_core(model, args.data, args.core, args.images)
        print(f"| {name} | {score:.4f} | {right} | {alike} | {largest:.1e} |", flush=True)


if __name__ == "__main__":
    main()
