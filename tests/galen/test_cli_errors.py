"""What a user sees when something is wrong: one line, the right exit code, no traceback, nothing half-written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

CLASSIFIER = """
<ir_version: 8, opset_import: ["" : 17]>
classifier (float[1,4,8,8] x) => (float[1,10] y)
<float[10,4] w, float[10] b> {
    pooled = GlobalAveragePool (x)
    flat = Flatten (pooled)
    y = Gemm <transB = 1> (flat, w, b)
}
"""
UNKNOWN_OPERATOR = """
<ir_version: 8, opset_import: ["" : 17, "acme" : 1]>
strange (float[1,4] x) => (float[1,4] y) {
    [middle] h = acme.Frobnicate (x)
    y = Relu (h)
}
"""


def galen(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("galen")), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


def assert_refused(done: subprocess.CompletedProcess[str], code: int, *words: object) -> None:
    lines = done.stderr.strip().splitlines()
    assert done.returncode == code, done.stderr
    assert len(lines) == 1, done.stderr
    for word in words:
        assert str(word) in lines[0]
    assert done.stdout == ""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    proto = parser.parse_model(CLASSIFIER)
    rng = np.random.default_rng(0)
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in (("w", (10, 4)), ("b", (10,)))
    )
    path = tmp_path / "net.onnx"
    onnx.save(proto, path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((6, 4, 8, 8), np.float32), labels=np.arange(6))
    return path


def test_a_file_that_is_not_onnx(tmp_path: Path) -> None:
    (tmp_path / "notes.onnx").write_text("Dear diary, today I trained a network.")
    assert_refused(galen("measure", "notes.onnx", cwd=tmp_path), 1, "notes.onnx", "not an ONNX")


def test_a_truncated_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "half.onnx").write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    assert_refused(galen("measure", "half.onnx", cwd=tmp_path), 1, "half.onnx", "truncated")


@pytest.mark.parametrize(
    "command",
    [
        ["measure", "none.onnx"],
        ["compile", "none.onnx", "-o", "out.so"],
        ["evaluate", "none.onnx", "--data", "d.npz"],
        ["search", "none.onnx", "--data", "d.npz", "-o", "out"],
        ["sensitivity", "none.onnx", "--data", "d.npz"],
    ],
    ids=lambda command: command[0],
)
def test_a_missing_file(command: list[str], tmp_path: Path) -> None:
    assert_refused(galen(*command, cwd=tmp_path), 1, "none.onnx", "no such file")


def test_an_operator_that_cannot_be_lowered_is_named_with_its_node(tmp_path: Path) -> None:
    onnx.save(parser.parse_model(UNKNOWN_OPERATOR), tmp_path / "strange.onnx")
    done = galen("compile", "strange.onnx", "-o", "out.so", cwd=tmp_path)
    assert_refused(done, 1, "middle", "Frobnicate")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["strange.onnx"]


def test_data_of_another_shape(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", x=np.zeros((6, 4, 9, 9), np.float32), labels=np.arange(6))
    assert_refused(galen("evaluate", model, "--data", "wide.npz", cwd=tmp_path), 1, "wide.npz", "x")


def test_data_without_the_models_input(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", z=np.zeros((6, 4, 8, 8), np.float32))
    assert_refused(galen("evaluate", model, "--data", "other.npz", cwd=tmp_path), 1, "other.npz")


def test_labels_beyond_the_models_classes(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "many.npz", x=np.zeros((2, 4, 8, 8), np.float32), labels=np.array([3, 12]))
    assert_refused(galen("evaluate", model, "--data", "many.npz", cwd=tmp_path), 1, "12", "10 classes")


def test_an_unknown_target_names_the_nearest(model: Path, tmp_path: Path) -> None:
    assert_refused(galen("measure", model, "--target", "cortex-72", cwd=tmp_path), 1, "cortex-72", "cortex-a72")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["measure", "net.onnx", "--per-leyer"], "--per-leyer"),
        (["search", "net.onnx", "--data", "data.npz", "-o", "out", "--max-latency", "fast"], "fast"),
        (["search", "net.onnx", "--data", "data.npz", "-o", "out", "--min-accuracy=2"], "--min-accuracy"),
        (["search", "net.onnx", "--data", "data.npz", "-o", "out", "--time-budget", "0m"], "0m"),
        (["search", "net.onnx", "--data", "data.npz", "-o", "out", "--episodes", "0"], "--episodes"),
        (["search", "net.onnx", "--data", "data.npz", "-o", "out", "--recover", "magic"], "magic"),
        (["search", "net.onnx", "--data", "data.npz", "-o", "out", "--agent", "magic"], "magic"),
        (["measure", "net.onnx", "--shape", "x=1xfoo"], "x=1xfoo"),
        (["measure", "net.onnx", "--device", "board"], "board"),
        (["compile", "net.onnx", "-o", "out", "--emit", "wish"], "wish"),
        (["compile", "net.onnx"], "--output"),
        (["levitate"], "levitate"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else None,
)
def test_bad_usage(model: Path, data: Path, tmp_path: Path, arguments: list[str], word: str) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    assert_refused(galen(*arguments, cwd=tmp_path), 2, word)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_search_that_never_began_leaves_no_folder(model: Path, data: Path, tmp_path: Path) -> None:
    done = galen("search", model, "--data", data, "--train-data", "none.npz", "-o", "out", cwd=tmp_path)
    assert_refused(done, 1, "none.npz")
    assert not (tmp_path / "out").exists()


def test_an_existing_output_folder_is_not_overwritten(model: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    done = galen("search", model, "--data", data, "-o", "out", cwd=tmp_path)
    assert_refused(done, 1, "out", "--resume")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "precious"


def test_a_folder_without_a_journal(tmp_path: Path) -> None:
    assert_refused(galen("report", tmp_path, cwd=tmp_path), 1, "journal.db")


def test_a_target_file_that_is_no_target(model: Path, tmp_path: Path) -> None:
    (tmp_path / "board.json").write_text('{"triple": 7}')
    assert_refused(galen("measure", model, "--target", "board.json", cwd=tmp_path), 1, "board.json")


def test_debug_shows_where_it_came_from(tmp_path: Path) -> None:
    done = galen("measure", "none.onnx", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
