"""The commands from outside, on a small network: what they print and write."""

import json
import re
import shlex
import struct
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

import galen
from galen.cli import _parser, main
from galen.opt import _parser as _opt_parser

NETWORK = """
<ir_version: 8, opset_import: ["" : 17]>
network (float[1,3,8,8] x) => (float[1,10] y)
<float[8,3,3,3] w1, float[8] b1, float[10,8] w2, float[10] b2> {
    [conv] c = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    [relu] r = Relu (c)
    [pool] p = GlobalAveragePool (r)
    [flat] f = Flatten (p)
    [head] y = Gemm <transB = 1> (f, w2, b2)
}
"""
AARCH64 = 183


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    proto = parser.parse_model(NETWORK)
    rng = np.random.default_rng(0)
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (10, 8), "b2": (10,)}
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name) for name, shape in shapes.items()
    )
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def data(model: Path) -> Path:
    rng = np.random.default_rng(1)
    path = model.with_name("data.npz")
    np.savez(path, x=rng.normal(size=(40, 3, 8, 8)).astype(np.float32))
    return path


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(list(map(str, arguments))) == 0
    return capfd.readouterr().out


def test_measure_prints_the_agreed_keys_and_counts_the_same_twice(
    model: Path, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = (json.loads(run(capfd, "measure", model, "--data", data, "--json")) for _ in range(2))
    assert set(first) == {
        *("target", "runner", "kind", "model", "latency_ms", "runs", "instructions", "cycles"),
        *("max_abs_error", "layers"),
    }
    assert first["latency_ms"].keys() == {"median", "p10", "p90"}
    assert (first["target"], first["runner"], first["kind"]) == ("cortex-a72", "emulator", "modelled")
    assert set(first["layers"][0]) == {"name", "op", "kernel", "latency_ms", "instructions", "macs"}
    assert first["instructions"] == sum(layer["instructions"] for layer in first["layers"]) > 0
    assert first["max_abs_error"] < 1e-4
    assert first == second


def test_measure_on_this_machine_is_measured(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capfd, "measure", model, "--target", "host", "--runs", 5, "--json"))
    assert (found["runner"], found["kind"], found["model"], found["runs"]) == ("local", "measured", None, 5)
    assert 0 < found["latency_ms"]["p10"] <= found["latency_ms"]["median"] <= found["latency_ms"]["p90"]


def test_evaluate_without_labels_is_agreement(model: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capfd, "evaluate", model, "--data", data, "--reference", model, "--json"))
    assert found == {"accuracy": 1.0, "samples": 40, "metric": "agreement"}


@pytest.mark.parametrize("form", ["lib", "object"])
def test_compile_writes_elf_for_the_target(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str
) -> None:
    path = tmp_path / "out"
    run(capfd, "compile", model, "--target", "cortex-a53", "--emit", form, "-o", path)
    header = path.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    kind, machine = struct.unpack("<HH", header[16:20])
    assert (kind, machine) == ({"lib": 3, "object": 1}[form], AARCH64)


@pytest.mark.parametrize(("form", "word"), [("asm", "fmla"), ("tir", "prim_func"), ("relax", "main")])
def test_compile_shows_what_it_made(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str, word: str
) -> None:
    run(capfd, "compile", model, "--emit", form, "-o", tmp_path / "out.txt")
    assert word in (tmp_path / "out.txt").read_text()


def test_a_bundle_says_how_to_call_the_library(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(capfd, "compile", model, "--emit", "bundle", "-o", tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.getnames() == ["model.so", "interface.json"]
        entry = archive.extractfile("interface.json")
        assert entry is not None
        interface = json.load(entry)
    assert interface["inputs"] == [{"name": "x", "shape": [1, 3, 8, 8], "type": "float32"}]
    assert interface["outputs"] == [{"name": "y", "shape": [1, 10], "type": "float32"}]


def test_sensitivity_ranks_and_draws(
    model: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = run(capfd, "sensitivity", model, "--data", data, "-o", tmp_path / "heat.html").splitlines()
    divergences = [float(row.split()[0]) for row in rows]
    assert divergences == sorted(divergences, reverse=True)
    assert any("sparsity" in row and row.endswith("conv") for row in rows)
    assert 'class="cell"' in (tmp_path / "heat.html").read_text()


def test_targets_lists_boards_under_their_cores(capfd: pytest.CaptureFixture[str]) -> None:
    listed = {target["name"]: target for target in json.loads(run(capfd, "targets", "--json"))}
    assert "raspberry-pi-4" in listed["cortex-a72"]["aliases"]
    assert {"cortex-a53", "cortex-a55", "cortex-a76", "neoverse-n1", "apple-m1", "host"} <= set(listed)
    assert "raspberry-pi-4" in run(capfd, "targets")


def test_devices_says_what_is_measured_and_what_modelled(capfd: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capfd, "devices", "--json"))
    kinds = {(row["target"], row["runner"]): row["kind"] for row in rows}
    assert kinds["cortex-a72", "emulator"] == "modelled"
    assert kinds["host", "local"] == "measured"


def test_python_names_do_what_the_commands_do(model: Path, data: Path) -> None:
    loaded = galen.load(model)
    inputs = {"x": np.load(data)["x"][:1]}
    on_core = galen.compile(loaded, "cortex-a72").run(inputs)["y"]
    on_host = galen.compile(loaded, "host").run(inputs)["y"]
    np.testing.assert_allclose(on_core, on_host, rtol=1e-4, atol=1e-5)
    pruned = galen.Pipeline.parse("simplify,prune{sparsity=0.5}")(loaded)
    assert galen.costs(pruned).parameters < galen.costs(loaded).parameters
    assert galen.Prune.name == "prune"
    assert {"Prune", "Quantize", "search", "measure"} <= set(dir(galen))


def test_every_command_line_of_the_readme_is_understood(repository: Path) -> None:
    text = (repository / "README.md").read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for language, block in blocks if not language for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("galen")]
    assert len(commands) >= 6
    for program, *arguments in commands:
        parser_ = {"galen": _parser, "galen-opt": _opt_parser}[program]()
        parser_.parse_args(arguments)


def test_the_final_table_names_both_models_and_the_kind_of_time() -> None:
    from galen.agents.searcher import Outcome
    from galen.commands.progress import table
    from galen.result import SearchResult

    result = SearchResult(
        Outcome(0.98, 2.0, 1000), Outcome(0.97, 0.5, 250), 0.965, True, 60, 240.0, 0, "joint", "cortex-a72", "modelled"
    )
    text = table(result, Path("out"))
    assert "4.00 x faster" in text
    assert "-1.00 points" in text
    assert "modelled" in text
    assert "96.50 %" in text
