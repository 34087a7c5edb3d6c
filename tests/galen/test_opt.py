"""`galen-opt` from outside: streams, exit codes, messages, and what it leaves behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from galen.ir.io import load
from galen.opt import main

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,1,4,4] x) => (float[N,2,2,2] y)
<float[2,1,3,3] w = {1,2,3,4,5,6,7,8,9,9,8,7,6,5,4,3,2,1},
 float[2] scale = {2, 3}, float[2] shift = {1, 1}, float[2] mean = {0.5, 0}, float[2] var = {4, 9}> {
   [conv] c = Conv(x, w)
   [bn] b = BatchNormalization(c, scale, shift, mean, var)
   [id] y = Identity(b)
}"""
PASSES = "simplify,fold-batchnorm"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.parser.parse_model(TEXT).SerializeToString())
    return path


@pytest.fixture
def opt(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `galen-opt` in this process; return exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def filtered(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "galen.opt", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def test_file_to_file(opt: Run, model_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    assert opt(model_path, "-p", PASSES, "-o", out) == (0, "", "")
    assert [node.op_type for node in load(out).graph] == ["Conv"]
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "out.onnx"]


def test_a_filter_writes_the_model_and_nothing_else_to_standard_output(model_path: Path) -> None:
    result = filtered("-", "-o", "-", "-p", PASSES, "--stats", "--timing", "--explain", stdin=model_path.read_bytes())
    assert result.returncode == 0
    assert [node.op_type for node in onnx.load_from_string(result.stdout).graph.node] == ["Conv"]
    assert b"parameters" in result.stderr
    assert b"fold-batchnorm" in result.stderr


def test_output_may_be_the_input(opt: Run, model_path: Path) -> None:
    assert opt(model_path, "-p", PASSES, "-o", model_path)[0] == 0
    assert len(load(model_path).graph) == 1


def test_stats_as_json(opt: Run, model_path: Path) -> None:
    code, out, _ = opt(model_path, "-p", PASSES, "--stats", "--json")
    stats = json.loads(out)
    assert code == 0
    assert stats["before"] == {"parameters": 26, "macs": 72, "bops": 73728, "bytes": 104, "nodes": 3}
    assert stats["after"] == {"parameters": 20, "macs": 72, "bops": 73728, "bytes": 80, "nodes": 1}
    assert [(entry["name"], entry["changed"]) for entry in stats["passes"]] == [
        ("simplify", True),
        ("fold-batchnorm", True),
    ]
    assert all(isinstance(entry["seconds"], float) for entry in stats["passes"])


def test_passes_from_a_file(opt: Run, model_path: Path, tmp_path: Path) -> None:
    text = tmp_path / "passes.txt"
    text.write_text("simplify,\n  fold-batchnorm\n")
    code, out, _ = opt(model_path, "-p", f"@{text}", "--stats", "--json")
    assert code == 0
    assert json.loads(out)["after"]["nodes"] == 1


def test_a_target_says_to_what_channels_are_rounded(opt: Run, tmp_path: Path) -> None:
    ones = ",".join(["1"] * 20)
    wide, out = tmp_path / "wide.onnx", tmp_path / "out.onnx"
    wide.write_bytes(
        onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,2,3,3] x) => (float[1,2,3,3] y) <float[10,2,1,1] w = {{{ones}}}, float[2,10,1,1] v = {{{ones}}}>
        {{ [first] c = Conv(x, w) [second] y = Conv(c, v) }}""").SerializeToString()
    )
    for arguments, left in (((), 7), (("--target", "cortex-a72"), 8)):
        assert opt(wide, "-p", "prune{sparsity=0.3}", *arguments, "-o", out) == (0, "", "")
        assert list(load(out).graph.initializers["w"].shape) == [left, 2, 1, 1]


def test_printing_and_stopping(opt: Run, model_path: Path) -> None:
    _, _, err = opt(model_path, "-p", PASSES, "--print-before", "fold-batchnorm", "--stop-after", "simplify")
    assert "// before" not in err
    _, _, err = opt(model_path, "-p", PASSES, "--print-before", "fold-batchnorm", "--print-after", "fold-batchnorm")
    before, after = err.split("// after fold-batchnorm\n")
    assert "BatchNormalization" in before
    assert "BatchNormalization" not in after
    _, out, err = opt(model_path, "-p", PASSES, "--print-after-all", "--stop-after", "simplify", "--stats", "--json")
    assert err.count("// after") == 1
    assert [entry["name"] for entry in json.loads(out)["passes"]] == ["simplify"]


def test_checks_pass_on_sound_passes(opt: Run, model_path: Path) -> None:
    assert opt(model_path, "-p", PASSES, "--verify-each") == (0, "", "")
    assert opt(model_path, "-p", PASSES, "--bisect") == (
        0, "", "bisect: every pass keeps the outputs within its tolerance\n",
    )  # fmt: skip


def test_listing_and_help(opt: Run) -> None:
    code, out, _ = opt("--list-passes")
    names = [line.split()[0] for line in out.splitlines()]
    assert code == 0
    assert names == sorted(names)
    required = {"simplify", "fold-batchnorm", "eliminate-dead-code", "prune", "quantize", "repeat"}
    assert required <= set(names)
    for name in names:
        code, out, _ = opt("--help-pass", name)
        assert code == 0
        assert out.startswith(f"{name}: ")
    assert "max=int" in opt("--help-pass", "repeat")[1]


def test_version(opt: Run) -> None:
    code, out, _ = opt("--version")
    assert code == 0
    assert out.startswith("galen-opt 0.")


def test_help_is_instant() -> None:
    def seconds() -> float:
        started = time.perf_counter()
        assert filtered("--help").returncode == 0
        return time.perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.3


# Errors: one line, the right code, nothing left behind.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}", "-p", "simplfy"], "unknown pass 'simplfy' (did you mean 'simplify'?)"),
        (["{model}", "-p", "repeat{max=no}(simplify)"], "option 'max': expected a whole number"),
        (["{model}", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["{model}", "--seed", "-1"], "--seed"),
        (["{model}", "--shape", "x"], "'x' is not of the form NAME=1x3x32x32"),
        (["{model}", "-p", "simplify", "--stop-after", "prune"], "no pass 'prune' in the pipeline"),
        (["{model}", "-p", "simplify", "--print-after", "simplfy"], "(did you mean 'simplify'?)"),
        (["--help-pass", "prun"], "unknown pass 'prun' (did you mean 'prune'?)"),
        ([], "no input model"),
        (["{model}", "--ver"], "unrecognized arguments: --ver"),
    ],
)
def test_bad_usage_is_exit_2(opt: Run, model_path: Path, arguments: list[str], message: str) -> None:
    code, out, err = opt(*(argument.replace("{model}", str(model_path)) for argument in arguments))
    assert code == 2
    assert out == ""
    assert message in err.splitlines()[0]


def test_a_caret_shows_the_place(opt: Run, model_path: Path) -> None:
    _, _, err = opt(model_path, "-p", "simplify,prune{sparsty=0.5}")
    assert err.splitlines()[1:] == ["  simplify,prune{sparsty=0.5}", "                 ^"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{dir}/none.onnx"], "none.onnx: no such file"),
        (["{dir}"], "is a directory"),
        (["{dir}/empty.onnx"], "empty.onnx: the file is empty"),
        (["{dir}/text.onnx"], "text.onnx: not an ONNX file"),
        (["{dir}/cut.onnx"], "cut.onnx: not an ONNX file, or a truncated one"),
        (["{model}", "-o", "{dir}"], "is a directory"),
        (["{model}", "-o", "{dir}/none/out.onnx"], "none: the folder does not exist"),
        (["{model}", "--shape", "z=1x2", "--stats"], "the model has no input 'z' (inputs: x)"),
        (["{model}", "-p", "@{dir}/none.txt"], "none.txt: no such file"),
        (["{model}", "-p", "quantize"], "data"),
        (["{model}", "--target", "cortex-a27", "-p", "simplify"], "unknown target 'cortex-a27' (did you mean"),
        (["{model}", "--data", "{dir}/none.npz", "-p", "simplify"], "none.npz"),
    ],
)
def test_bad_input_is_exit_1(opt: Run, model_path: Path, arguments: list[str], message: str) -> None:
    folder = model_path.parent
    (folder / "empty.onnx").touch()
    (folder / "text.onnx").write_text("this is no model\n" * 10)
    (folder / "cut.onnx").write_bytes(model_path.read_bytes()[:-20])
    before = sorted(os.listdir(folder))
    code, out, err = opt(*(argument.format(model=model_path, dir=folder) for argument in arguments))
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("galen-opt: error: ")
    assert message in err
    assert sorted(os.listdir(folder)) == before


def test_a_failing_pass_leaves_no_file(opt: Run, model_path: Path, tmp_path: Path) -> None:
    code, _, err = opt(
        model_path, "-p", 'simplify,prune{policy={"version":1,"digest":"other"}}', "-o", tmp_path / "o.onnx"
    )
    assert code == 1
    assert len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == ["model.onnx"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(opt: Run, model_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    code, _, err = opt(model_path, "-o", folder / "out.onnx")
    assert code == 1
    assert "not writable" in err


def test_a_folder_that_takes_no_files(opt: Run, model_path: Path) -> None:
    """Not even root can create a file in /proc."""
    code, _, err = opt(model_path, "-o", "/proc/out.onnx")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "/proc" in err


_LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
from galen.opt import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_full_disk(model_path: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    target.write_bytes(b"old")
    command = [sys.executable, "-B", "-c", _LIMITED, str(model_path), "-p", "simplify", "-o", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == f"galen-opt: error: {target}: cannot be written: File too large\n"
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "out.onnx"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_device_is_written_to_and_stays_one(opt: Run, model_path: Path) -> None:
    code, _, err = opt(str(model_path), "-o", "/dev/full")
    assert (code, err) == (1, "galen-opt: error: /dev/full: cannot be written: No space left on device\n")
    assert Path("/dev/full").is_char_device()
    assert opt(str(model_path), "-o", "/dev/null")[0] == 0


def test_an_output_that_is_a_link_stays_one(opt: Run, model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link.onnx"
    link.symlink_to(tmp_path / "folder" / "out.onnx")
    assert opt(str(model_path), "-o", str(link))[0] == 0
    assert link.is_symlink()
    onnx.checker.check_model(str(tmp_path / "folder" / "out.onnx"))


def test_a_reader_that_goes_away(model_path: Path) -> None:
    command = f"{sys.executable} -m galen.opt {model_path} -o - | true"
    result = subprocess.run(["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], capture_output=True, check=False)
    assert result.returncode in (0, 1)
    assert b"Traceback" not in result.stderr


def test_a_custom_operator_passes_through(opt: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "custom.onnx", tmp_path / "out.onnx"
    text = """<ir_version: 8, opset_import: ["" : 17, "my.domain" : 1]>
    g (float[2] x) => (float[2] y) { a = Identity(x) b = my.domain.Thing<k = 3>(a) y = Relu(b) }"""
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    code, _, err = opt(path, "-p", PASSES, "-o", out, "--verify-each", "--stats")
    assert code == 0
    assert "my.domain.Thing is a custom operator" in err
    assert [node.op_type for node in load(out).graph] == ["Thing", "Relu"]


def test_no_traceback_without_debug(opt: Run, model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("a bug\nin two lines")

    monkeypatch.setattr("galen.ir.io.load", broken)
    code, _, err = opt(model_path)
    assert code == 1
    assert (
        err == "galen-opt: error: internal error: AssertionError: a bug in two lines (run with --debug and report it)\n"
    )
    assert "Traceback" in opt(model_path, "--debug")[2]


def test_interruption_is_130(opt: Run, model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("galen.ir.io.load", interrupted)
    assert opt(model_path) == (130, "", "galen-opt: error: interrupted\n")


def test_the_main_job_on_a_real_network(opt: Run, models_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    code, text, _ = opt(
        models_dir / "resnet20_cifar10.onnx", "-p", f"{PASSES},prune{{sparsity=0.5}}", "-o", out, "--stats", "--json"
    )
    stats = json.loads(text)
    assert code == 0
    assert stats["after"]["parameters"] <= 0.30 * stats["before"]["parameters"]
    import onnxruntime

    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    assert session.run(None, {"input": np.zeros((1, 3, 32, 32), np.float32)})[0].shape == (1, 10)
