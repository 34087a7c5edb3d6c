"""Damage what `galen-opt` reads and see that it answers with exit 0, 1 or 2 and one line.

    python benchmarks/fuzz.py [--minutes 10] [--seed 0] [--keep DIR]

Damaged in turn: model files, pipeline texts, policy files, data files. Every case runs in a forked process with
20 seconds and 4 GB; a signal, a traceback, an "internal error" or a second line is a finding and kept in DIR.
"""

import argparse
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.parser

from galen.opt import main as galen_opt
from galen.passes import registry
from galen.passes.fields import options

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,1,4,4] x) => (float[N,2] y)
<float[2,1,3,3] w = {1,2,3,4,5,6,7,8,9,9,8,7,6,5,4,3,2,1}, float[2,8] v = {1,2,3,4,5,6,7,8,8,7,6,5,4,3,2,1},
 float[2] scale = {2, 3}, float[2] shift = {1, 1}, float[2] mean = {0.5, 0}, float[2] var = {4, 9}> {
   [conv] c = Conv(x, w)
   [bn] b = BatchNormalization(c, scale, shift, mean, var)
   [relu] r = Relu(b)
   s = Shape<start = 0, end = 1>(r)
   rest = Constant<value = int64[1] {8}>()
   t = Concat<axis = 0>(s, rest)
   flat = Reshape(r, t)
   [fc] y = Gemm<transB = 1>(flat, v)
}"""
CONTROL = """<ir_version: 8, opset_import: ["" : 17, "f" : 1]>
g (float[N,4] x, bool c) => (float[N,4] y, float[4] z)
<int64 count = {1}, bool go = {1}, float[4] w = {1, 2, 3, 4}> {
   k = Constant<value = float[4] {4, 3, 2, 1}>()
   a = f.Act<alpha = 0.5>(x)
   b = If(c) <then_branch = t () => (float[N,4] p) { p = Mul(a, w) },
              else_branch = e () => (float[N,4] q) <float[4] v = {1, 1, 1, 1}> { q = Add(a, v) }>
   d = Loop(count, go, b) <body = l (int64 i, bool on, float[N,4] m) => (bool off, float[N,4] n)
       { off = Identity(on) n = Add(m, k) }>
   y = Softmax<axis = -1>(d)
   z = If(go) <then_branch = t2 () => (float[4] r) { r = Neg(k) }, else_branch = e2 () => (float[4] s) { s = Abs(w) }>
}
<domain: "f", opset_import: ["" : 17]> Act <alpha>(u) => (o) { o = LeakyRelu<alpha : float = @alpha>(u) }"""
PIPELINE = "simplify,fold-batchnorm,prune{sparsity=0.5}"
PIPELINES = [
    PIPELINE,
    "simplify,cast-fp16",
    "convert-opset{version=16},infer-shapes",
    "convert-opset{version=21},fuse-activations",
    "eliminate-dead-branches,eliminate-dead-code,eliminate-common-subexpressions",
    "repeat(simplify,fuse-affine),quantize{calibration=random}",
]
SEEDS = [
    PIPELINE,
    "repeat{max=3}(simplify,eliminate-dead-code)",
    'quantize{weight-bits=4 calibration=minmax exclude=["fc"]}',
    'prune{policy={"version":1,"groups":{"conv":{"keep":1,"of":2}}}}',
]


@dataclass(frozen=True)
class Sound:
    """Sound files that the damage starts from."""

    model: bytes
    control: bytes
    policy: bytes
    data: bytes


def sound() -> Sound:
    model = onnx.parser.parse_model(MODEL)
    large = onnx.numpy_helper.from_array(np.zeros((64, 64), np.float32), "unused")
    model.graph.initializer.append(large)
    policy = {
        "version": 1,
        "groups": {"conv": {"keep": 1, "of": 2}},
        "layers": {"fc": {"weight_bits": 8, "activation_bits": 8}},
    }
    data = io.BytesIO()
    np.savez(data, images=np.zeros((8, 4, 4), np.uint8), labels=np.zeros(8, np.int64))
    control = onnx.parser.parse_model(CONTROL).SerializeToString()
    return Sound(model.SerializeToString(), control, json.dumps(policy).encode(), data.getvalue())


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip, cut, repeat, insert or replace a few times."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        at, length = int(rng.integers(len(out) + 1)), int(rng.integers(1, 20))
        match rng.integers(6):
            case 0 if out:
                out[min(at, len(out) - 1)] ^= 1 << int(rng.integers(8))
            case 1:
                del out[at:]
            case 2:
                del out[at : at + length]
            case 3:
                out[at:at] = out[at : at + length]
            case 4:
                out[at:at] = rng.bytes(length)
            case _:
                out[at : at + length] = bytes([int(rng.choice([0, 1, 127, 128, 255]))]) * length
    return bytes(out)


def model_case(files: Sound, rng: np.random.Generator, folder: Path) -> list[str]:
    model = files.control if rng.random() < 0.5 else files.model
    (folder / "model.onnx").write_bytes(damaged(model, rng) if rng.random() < 0.3 else rewritten(model, rng))
    checks = [["--bisect"], ["--verify-each"], ["--stats"], ["--explain"], ["--print-after-all"]]
    output = ["-o", str(folder / "out.onnx")]
    return [str(folder / "model.onnx"), "-p", str(rng.choice(PIPELINES)), *checks[rng.integers(len(checks))], *output]


def rewritten(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a model's nodes, constants and types a little: it still parses."""
    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    names = [
        *(v.name for v in graph.input),
        *(t.name for t in graph.initializer),
        *(o for n in graph.node for o in n.output),
    ]
    operators = [
        "Identity",
        "Conv",
        "Reshape",
        "Concat",
        "Loop",
        "If",
        "Cast",
        "Split",
        "LSTM",
        "Foo",
        "Shape",
        "MatMul",
    ]
    for _ in range(rng.integers(1, 4)):
        node = graph.node[rng.integers(len(graph.node))]
        match rng.integers(8):
            case 0:
                node.op_type = str(rng.choice(operators))
            case 1 if node.input:
                node.input[rng.integers(len(node.input))] = str(rng.choice([*names, "", "nothing"]))
            case 2 if node.attribute:
                attribute = node.attribute[rng.integers(len(node.attribute))]
                attribute.i = int(rng.choice([-1, 0, 1, 2**40]))
                attribute.type = int(rng.integers(8))
            case 3:
                tensor = graph.initializer[rng.integers(len(graph.initializer))]
                tensor.dims[:] = rng.choice([-1, 0, 1, 2, 3, 2**40], rng.integers(0, 4)).tolist()
            case 4:
                graph.initializer[rng.integers(len(graph.initializer))].data_type = int(rng.integers(26))
            case 5:
                graph.input[0].type.tensor_type.elem_type = int(rng.integers(18))
            case 6:
                graph.node.add().CopyFrom(node)
            case _:
                model.opset_import[0].version = int(rng.choice([0, 1, 6, 7, 12, 13, 21, 28, 99, 2**31]))
    return model.SerializeToString()


def text_case(files: Sound, rng: np.random.Generator, folder: Path) -> list[str]:
    (folder / "model.onnx").write_bytes(files.model)
    if rng.random() < 0.5:
        text = damaged(str(rng.choice(SEEDS)).encode(), rng).decode(errors="replace").replace("\0", "0")
    else:
        words = [*registry.names(), *"{}(),=@", "null", "1e5", '"', "[", "policy", "sparsity", " ", *_option_names()]
        text = "".join(str(rng.choice(words)) for _ in range(rng.integers(1, 12)))
    return [str(folder / "model.onnx"), f"--passes={text}"]


def _option_names() -> list[str]:
    return [key for kind in map(registry.find, registry.names()) if kind for key in options(kind)]


def policy_case(files: Sound, rng: np.random.Generator, folder: Path) -> list[str]:
    (folder / "model.onnx").write_bytes(files.model)
    policy = (
        damaged(files.policy, rng)
        if rng.random() < 0.3
        else json.dumps(altered(json.loads(files.policy), rng)).encode()
    )
    (folder / "policy.json").write_bytes(policy)
    name = str(rng.choice(["prune", "quantize"]))
    options_text = f"policy=@{folder}/policy.json" + (" calibration=random" if name == "quantize" else "")
    return [str(folder / "model.onnx"), "-p", f"simplify,fold-batchnorm,{name}{{{options_text}}}"]


ODD = [None, True, -1, 0, 1, 2, 8, 9, 2**40, 0.5, float("nan"), "", "conv", [], {}, "x" * 300, [1, [2]]]


def altered(data: object, rng: np.random.Generator) -> object:
    """Replace, add or drop something somewhere in a JSON value."""
    if not isinstance(data, dict) or not data or rng.random() < 0.2:
        return ODD[rng.integers(len(ODD))]
    copy = dict(data)
    key = list(copy)[rng.integers(len(copy))]
    match rng.integers(4):
        case 0:
            del copy[key]
        case 1:
            copy[str(ODD[rng.integers(len(ODD))])] = copy[key]
        case _:
            copy[key] = altered(copy[key], rng)
    return copy


def odd_arrays(rng: np.random.Generator) -> bytes:
    """An `.npz` of arrays under likely names, of unlikely types and shapes."""
    types = [np.uint8, np.float32, np.float64, np.int64, np.bool_, np.complex64, "U3", "S3", "M8[s]", object]
    arrays = {}
    for name in ("images", "labels", "mean", "std", "raw", "x"):
        if rng.random() < 0.5:
            shape = tuple(rng.choice([0, 1, 4, 8], rng.integers(0, 5)))
            arrays[name] = np.zeros(shape, types[rng.integers(len(types))])
    if rng.random() < 0.5:
        arrays["images"] = np.zeros((8, 4, 4), np.uint8)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def data_case(files: Sound, rng: np.random.Generator, folder: Path) -> list[str]:
    (folder / "model.onnx").write_bytes(files.model)
    (folder / "data.npz").write_bytes(damaged(files.data, rng) if rng.random() < 0.3 else odd_arrays(rng))
    return [str(folder / "model.onnx"), "-p", "simplify,fold-batchnorm,quantize", "--data", str(folder / "data.npz")]


CASES: tuple[Callable[[Sound, np.random.Generator, Path], list[str]], ...] = (
    model_case, text_case, policy_case, data_case,
)  # fmt: skip


def run_forked(arguments: list[str], log: Path) -> tuple[int, str]:
    """Return the exit code (negative: a signal) and standard error of `galen-opt` with these arguments."""
    child = os.fork()
    if child == 0:
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(20)
        os._exit(galen_opt(arguments))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), log.read_text(errors="replace")


def finding(code: int, err: str) -> str | None:
    """Return what is wrong with an answer, None when nothing is."""
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("galen-opt: error: ")]
    if code not in (0, 1, 2):
        return f"exit {code}"
    if "Traceback" in err or "internal error" in err:
        return errors[0] if errors else "traceback"
    if code and len(errors) != 1:
        return f"{len(errors)} error lines"
    if code and lines.index(errors[0]) < len(lines) - (3 if code == 2 else 1):
        return "more than one line"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    arguments = parser.parse_args()
    files, answers, found = sound(), Counter[str](), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_forked(["--list-passes"], folder / "err")
        end, number = time.monotonic() + 60 * arguments.minutes, 0
        warm_up(files, folder)
        while time.monotonic() < end:
            rng = np.random.default_rng([arguments.seed, number])
            case = CASES[number % len(CASES)]
            command = case(files, rng, folder)
            code, err = run_forked(command, folder / "err")
            answers[f"{case.__name__} exit {code}"] += 1
            if wrong := finding(code, err):
                found += 1
                print(f"finding {number}: {wrong}\n  {command}")
                keep(folder, arguments.keep / str(number), command, err)
            number += 1
    for answer, count in sorted(answers.items()):
        print(f"{count:8} {answer}")
    print(f"{sum(answers.values())} cases, {found} findings")
    return int(found > 0)


def warm_up(files: Sound, folder: Path) -> None:
    """Import in this process what every fork needs."""
    (folder / "model.onnx").write_bytes(files.model)
    (folder / "data.npz").write_bytes(files.data)
    command = [str(folder / "model.onnx"), "-p", PIPELINE, "--data", str(folder / "data.npz"), "--stats"]
    if galen_opt(command) != 0:
        raise SystemExit("the sound files are refused")


def keep(folder: Path, target: Path, command: list[str], err: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    (target / "command.json").write_text(json.dumps(command))
    (target / "stderr").write_text(err)


if __name__ == "__main__":
    sys.exit(main())
