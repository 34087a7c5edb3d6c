"""A whole search on a small real network: files, figures, resume."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from searches import digits, rows, running, until

from galen.driver import search
from galen.ir import GalenError
from galen.options import SearchOptions
from galen.passes.policy import Policy
from galen.result import SearchResult
from galen.watcher import Silent


@pytest.fixture(scope="module")
def options(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchOptions:
    """A short search on handwritten digits."""
    return digits(repository, tmp_path_factory.mktemp("digits"))


class Training(Silent):
    """Notes how far fine-tuning is."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def training(self, step: int, steps: int) -> None:
        self.steps.append((step, steps))


@pytest.fixture(scope="module")
def found(options: SearchOptions) -> SearchResult:
    return search(options)


def test_the_folder_holds_all_six_files_and_the_result_its_figures(options: SearchOptions, found: SearchResult) -> None:
    assert {p.name for p in options.output.iterdir()} == {
        *("best.onnx", "best.so", "policy.json", "pareto.json", "report.html", "journal.db"),
    }
    told = found.to_json()
    assert told.keys() == {
        *("baseline", "best", "met", "episodes", "seconds", "seed", "agent", "target", "kind"),
    }
    assert told["best"].keys() == {"accuracy", "latency_ms", "bytes", "test_accuracy"}
    assert told["baseline"].keys() == {"accuracy", "latency_ms", "bytes"}
    assert (told["episodes"], told["seed"], told["target"], told["kind"]) == (4, 1, "cortex-a72", "modelled")
    assert found.best.latency_ms < found.baseline.latency_ms
    assert found.exit_code == (0 if found.met else 3)


def test_the_library_is_arm_code_and_the_front_is_not_dominated(options: SearchOptions, found: SearchResult) -> None:
    header = (options.output / "best.so").read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    assert int.from_bytes(header[18:20], "little") == 183  # EM_AARCH64
    front = json.loads((options.output / "pareto.json").read_text())
    assert front
    assert all(set(row) == {"episode", "accuracy", "latency_ms", "bytes", "policy"} for row in front)
    accuracies = [row["accuracy"] for row in sorted(front, key=lambda row: row["latency_ms"])]
    assert accuracies == sorted(set(accuracies))
    Policy.parse((options.output / "policy.json").read_text())


def test_a_search_that_goes_on_has_the_journal_of_one_that_was_never_broken(
    options: SearchOptions, found: SearchResult, tmp_path: Path
) -> None:
    broken = replace(options, output=tmp_path / "broken")
    search(replace(broken, episodes=2))
    assert search(replace(broken, resume=True)).best == found.best
    assert rows(broken.output) == rows(options.output)


def test_a_finished_search_goes_on_with_fine_tuning(
    options: SearchOptions, found: SearchResult, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(options.output, folder)
    watcher = Training()
    tuned = search(replace(options, output=folder, finetune_epochs=1, augment=True, resume=True), watcher)
    assert rows(folder) == rows(options.output)
    assert tuned.best.accuracy >= found.best.accuracy
    steps, totals = zip(*watcher.steps, strict=True)
    assert set(totals) == {watcher.steps[-1][0]}
    assert list(steps) == sorted(set(steps))


def test_an_existing_folder_is_refused_and_so_is_resuming_with_other_options(
    options: SearchOptions, found: SearchResult
) -> None:
    with pytest.raises(GalenError, match="--resume"):
        search(options)
    with pytest.raises(GalenError, match="--seed 1, not 2"):
        search(replace(options, seed=2, resume=True))


def test_an_interrupt_keeps_the_best_so_far_and_exits_with_130(options: SearchOptions, tmp_path: Path) -> None:
    endless = replace(options, output=tmp_path / "out", episodes=100_000)
    out = endless.output
    with running(endless) as process:
        until((out / "policy.json").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(240) == 130
    assert {"best.onnx", "best.so", "policy.json", "journal.db"} <= {p.name for p in out.iterdir()}
