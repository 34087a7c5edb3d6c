"""Time and memory of `simplify,fold-batchnorm` on large models, against onnxsim and onnxslim in the same run.

    python benchmarks/opt_speed.py [--folder DIR]       needs 5 GB there

A ResNet-50 of 100 MB (the light model of the `onnx` package with random weights) in one file, and 1 GB of fully
connected layers with external data, one of them followed by a BatchNormalization. Every tool runs in a process of its
own; seconds are of the whole process, megabytes its peak resident set. The outputs are compared with the original's.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from galen.ir import DataType, Graph, Model, Node, Shape, TensorType, Value
from galen.ir.edit import all_nodes, bypass, new_initializer
from galen.ir.execute import random_inputs, run
from galen.ir.io import load, save
from galen.passes.watch import largest_change

COMMANDS: Mapping[str, str] = {
    "galen-opt": "from galen.opt import main; main([i, '-p', 'simplify,fold-batchnorm', '-o', o])",
    "onnxsim": "import onnx, onnxsim; m, ok = onnxsim.simplify(i, output_path=o)",
    "onnxslim": "import onnxslim; onnxslim.slim(i, o)",
}


def resnet50(path: Path) -> None:
    """He et al. 2016, 25.6 million parameters."""
    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"
    model, rng = load(light), np.random.default_rng(0)
    for node in all_nodes(model):
        if node.op_type == "ConstantOfShape":
            output = node.outputs[0]
            name, output.name = output.name, None
            shape = node.inputs[0].const_value.numpy()
            weight = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:], dtype=np.float64))
            weight = weight if len(shape) > 1 else np.abs(weight) + 0.5
            output.replace_all_uses_with(new_initializer(model.graph, weight.astype(np.float32), str(name)))
            model.graph.remove(node, safe=True)
        elif node.op_type == "Softmax" and node.inputs[0] is not None:
            bypass(node, node.inputs[0])  # it would hide differences
    save(model, path)


def one_gigabyte(path: Path) -> None:
    """Ten layers of 5,120 x 5,120."""
    size, layers, rng = 5120, 10, np.random.default_rng(0)
    x = Value(name="x", shape=Shape(["n", size]), type=TensorType(DataType.FLOAT))
    graph = Graph([x], [], nodes=[], opset_imports={"": 17}, name="gigabyte")
    model, value = Model(graph, ir_version=8), x
    for layer in range(layers):
        weight = rng.standard_normal((size, size), dtype=np.float32) * np.float32(size**-0.5)
        value = _appended(graph, "Gemm", [value, new_initializer(graph, weight, f"w{layer}")])
        if layer == layers // 2:
            statistics = [np.abs(rng.standard_normal(size, dtype=np.float32)) + 0.5 for _ in range(4)]
            constants = [new_initializer(graph, array, f"bn{i}") for i, array in enumerate(statistics)]
            value = _appended(graph, "BatchNormalization", [value, *constants])
        value = _appended(graph, "Relu", [value])
    value.type, value.shape = TensorType(DataType.FLOAT), Shape(["n", size])
    graph.outputs.append(value)
    save(model, path, external=True)


def _appended(graph: Graph, op: str, inputs: list[Value]) -> Value:
    node = Node("", op, inputs, name=f"{op}_{len(graph)}")
    graph.append(node)
    node.outputs[0].name = f"{node.name}_output"
    return node.outputs[0]


def measured(command: str, source: Path, target: Path) -> tuple[float, float, bool]:
    """Return seconds, peak megabytes and success of a Python command."""
    script = f"import sys; i, o = sys.argv[1:]; {command}"
    wrapper = "import resource, subprocess, sys; r = subprocess.run(sys.argv[1:], capture_output=True).returncode; "
    wrapper += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, r)"
    started = time.perf_counter()
    outer = subprocess.run(
        [sys.executable, "-c", wrapper, sys.executable, "-c", script, str(source), str(target)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    kilobytes, code = map(int, outer.stdout.split())
    return time.perf_counter() - started, kilobytes / 1000, code == 0 and target.exists()


def compared(source: Path, target: Path) -> str:
    """Return the largest change of the output, relative to its largest magnitude."""
    original = load(source)
    shapes = {
        str(value.name): tuple(d if isinstance(d, int) else 1 for d in value.shape or ()) for value in fed(original)
    }
    inputs = random_inputs(original, np.random.default_rng(0), shapes)
    return f"{largest_change(run(original, inputs), run(load(target), inputs))[1]:.1e}"


def fed(model: Model) -> list[Value]:
    return [value for value in model.graph.inputs if value.name not in model.graph.initializers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the models go; default: a temporary folder")
    parser.add_argument("--runs", type=int, default=3, help="the fastest of so many runs counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for make in (resnet50, one_gigabyte):
            source = Path(name) / f"{make.__name__}.onnx"
            make(source)
            data = source.with_name(f"{source.name}.data")
            size = source.stat().st_size + (data.stat().st_size if data.exists() else 0)
            print(f"{make.__name__}: {size / 1e6:.0f} MB")
            for tool, command in COMMANDS.items():
                target = Path(name) / f"{tool}.onnx"
                runs = [measured(command, source, target) for _ in range(arguments.runs)]
                seconds, megabytes = min(run[0] for run in runs), max(run[1] for run in runs)
                result = compared(source, target) if runs[-1][2] else "failed"
                print(f"  {tool:10} {seconds:6.2f} s {megabytes:8.0f} MB   output changed by {result}")
                for path in Path(name).glob(f"{tool}.onnx*"):
                    path.unlink()


if __name__ == "__main__":
    main()
