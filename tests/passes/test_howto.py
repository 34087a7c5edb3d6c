"""The how-tos for third-party passes, coupling rules and criteria are executed as they stand, commands included."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from onnx import numpy_helper

THRESHOLD = """<ir_version: 8, opset_import: ["" : 17, "acme" : 1]>
g (float[1,1,2,2] x) => (float[1,1,2,2] y)
<float[4,1,1,1] w = {1, -9, 2, 8}, float[4] t = {5, 6, 7, 8}, float[1,4,1,1] v = {1, 2, 3, 4}, float[1,4,2,2] a,
 float[1,4,2,2] b>
{ [a] a = Conv (x, w)  [b] b = acme.Threshold <channels = 4> (a, t)  [y] y = Conv (b, v) }"""


@pytest.fixture(scope="module")
def package(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the folder of the how-to's pass, and its commands."""
    folder = tmp_path_factory.mktemp("package")
    return folder, write(repository / "docs" / "writing-a-pass.md", folder, "clip_weights.py")


@pytest.fixture(scope="module")
def pruning(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the folder of the how-to's rule and criterion, with a model that needs them, and its commands."""
    folder = tmp_path_factory.mktemp("pruning")
    (folder / "model.onnx").write_bytes(onnx.parser.parse_model(THRESHOLD).SerializeToString())
    return folder, write(repository / "docs" / "writing-a-rule.md", folder, "acme_pruning.py")


def write(page: Path, folder: Path, module: str) -> list[str]:
    """Write the package of a how-to, build its metadata, and return the page's commands."""
    blocks = dict(re.findall(r"```(python|toml|sh)\n(.*?)```", page.read_text(), flags=re.DOTALL))
    (folder / module).write_text(blocks["python"])
    (folder / "pyproject.toml").write_text(blocks["toml"])
    build = [sys.executable, "-c", "from setuptools import setup; setup()", "-q", "egg_info"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    return blocks["sh"].splitlines()


def test_the_commands_of_the_howto_work(package: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, commands = package
    source = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[2] x) => (float[2] y) <float[2] w = {2, 0.1}> { y = Mul(x, w) }"""
    (tmp_path / "model.onnx").write_bytes(onnx.parser.parse_model(source).SerializeToString())
    for command in commands:
        _, *arguments = shlex.split(command)
        result = run(folder, tmp_path, *arguments)
        assert result.returncode == 0, result.stderr
    weight = onnx.load(tmp_path / "clipped.onnx").graph.initializer[0]
    np.testing.assert_allclose(numpy_helper.to_array(weight), [0.5, 0.1])


def test_its_option_errors_get_a_caret(package: tuple[Path, list[str]], tmp_path: Path) -> None:
    result = run(package[0], tmp_path, "model.onnx", "-p", "clip-weights{limit=-1}")
    assert result.returncode == 2
    assert result.stderr.splitlines()[1:] == ["  clip-weights{limit=-1}", "                     ^"]


def test_a_third_partys_operator_is_followed_and_its_criterion_obeyed(pruning: tuple[Path, list[str]]) -> None:
    folder, (command,) = pruning
    result = run(folder, folder, *shlex.split(command)[1:])
    assert result.returncode == 0, result.stderr
    assert "cut 2 of 4 channels of a" in result.stderr
    graph = onnx.load(folder / "small.onnx").graph
    weights = {tensor.name: numpy_helper.to_array(tensor).ravel().tolist() for tensor in graph.initializer}

    assert weights == {"w": [-9, 8], "t": [6, 8], "v": [2, 4]}
    assert graph.node[1].attribute[0].i == 2


def test_without_its_package_an_operator_keeps_what_it_touches(pruning: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, _ = pruning
    model = str(folder / "model.onnx")
    result = run(tmp_path, tmp_path, model, "-p", "prune{sparsity=0.5}", "-o", "same.onnx", "--explain")

    assert "Threshold b keeps axis 1 of a whole" in result.stderr
    assert list(onnx.load(tmp_path / "same.onnx").graph.initializer[0].dims) == [4, 1, 1, 1]


def test_an_unknown_criterion_gets_a_caret_and_the_names_there_are(pruning: tuple[Path, list[str]]) -> None:
    folder, _ = pruning
    result = run(folder, folder, "model.onnx", "-p", "prune{criterion=pique sparsity=0.5}")

    assert result.returncode == 2
    assert "unknown criterion 'pique'" in result.stderr
    assert "peak" in result.stderr
    assert result.stderr.splitlines()[1:] == ["  prune{criterion=pique sparsity=0.5}", "                  ^"]


def run(package: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `galen-opt` with the package installed."""
    environment = os.environ | {"PYTHONPATH": str(package)}
    command = [sys.executable, "-m", "galen.opt", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
