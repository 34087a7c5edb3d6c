"""A quantized network on the emulated core, in numpy, and in onnxruntime fused, optimised and not: do they agree?

python benchmarks/int8_exact.py resnet20_cifar10.onnx --data cifar10_val5k.npz --train-data cifar10_train.npz
"""

import argparse

import numpy as np

from galen.backends.execution import Network
from galen.backends.integer import run as in_integers
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.batch import BatchedModel
from galen.ir.dataset import open_dataset
from galen.ir.edit import const_value
from galen.ir.execute import run
from galen.ir.io import load
from galen.passes.pipeline import Pipeline


def step(model: Model, output: str) -> float:
    """Return the scale of the graph's output: what one step of its integers is worth."""
    node = next(value for value in model.graph.outputs if value.name == output).producer()
    if node is None or node.op_type != "DequantizeLinear":
        raise SystemExit("the output of the network is not quantized")
    return float(const_value(node.inputs[1]))


def main() -> None:
    """Print how many values differ, by how many steps, and whether the class changes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--train-data", required=True)
    parser.add_argument("--target", default="cortex-a72")
    parser.add_argument("--images", type=int, default=256)
    arguments = parser.parse_args()
    model = load(arguments.model)
    train = open_dataset(arguments.train_data, model)
    Pipeline.parse("simplify,fold-batchnorm,quantize").bind(train_data=train).apply(model)
    samples = open_dataset(arguments.data, model).take(arguments.images)
    (batch,) = samples.batches(arguments.images)
    (output,) = (str(value.name) for value in model.graph.outputs)
    network = Network(lower(model, find(arguments.target)))
    singles = [{name: array[i : i + 1] for name, array in batch.inputs.items()} for i in range(len(samples))]
    core = np.concatenate([network.run(single)[output] for single in singles])
    others = {
        "numpy integers": np.concatenate([in_integers(model, single)[output] for single in singles]),
        "onnxruntime, fused": BatchedModel(model)(batch)[output],
        "onnxruntime, not optimised": np.concatenate([run(model, s, optimize=False)[output] for s in singles]),
    }
    for name, values in others.items():
        steps = np.rint(np.abs(core - values) / step(model, output)).astype(int)
        top = np.sort(core, axis=1)
        clear = np.rint((top[:, -1] - top[:, -2]) / step(model, output)) > 2
        changed = (core.argmax(1) != values.argmax(1)) & clear
        print(
            f"{name:28} {np.count_nonzero(core != values):5} of {core.size} values differ, by at most {steps.max()} "
            f"steps; {np.count_nonzero(changed)} clear classes change"
        )


if __name__ == "__main__":
    main()
