"""The how-to for third-party passes is executed as it stands, from its code blocks to its commands."""

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


@pytest.fixture(scope="module")
def package(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Write the package of the how-to, build its metadata, and return its folder and the commands of the how-to."""
    text = (repository / "docs" / "writing-a-pass.md").read_text()
    blocks = dict(re.findall(r"```(python|toml|sh)\n(.*?)```", text, flags=re.DOTALL))
    folder = tmp_path_factory.mktemp("package")
    (folder / "clip_weights.py").write_text(blocks["python"])
    (folder / "pyproject.toml").write_text(blocks["toml"])
    build = [sys.executable, "-c", "from setuptools import setup; setup()", "-q", "egg_info"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    return folder, blocks["sh"].splitlines()


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


def run(package: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `galen-opt` with the package installed."""
    environment = os.environ | {"PYTHONPATH": str(package)}
    command = [sys.executable, "-m", "galen.opt", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
