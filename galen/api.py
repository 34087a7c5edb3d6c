"""The verbs of the Python interface; each does what the command of its name does."""

import shutil
import tempfile
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from galen.backends import build
from galen.backends.accuracy import Accuracy, Score
from galen.backends.targets import find
from galen.boundaries import Arrays
from galen.driver import search as run_search
from galen.ir import GalenError, Model
from galen.ir.dataset import open_dataset
from galen.ir.execute import random_inputs
from galen.ir.io import load
from galen.ir.shapes import Shapes, input_shapes
from galen.measurement import Measurement
from galen.measurement import measure as run_measure
from galen.objective import Objective
from galen.options import SearchOptions
from galen.result import SearchResult
from galen.runners import RunnerOptions
from galen.watcher import SearchWatcher


def search(
    model: str | Path,
    *,
    data: str,
    output: str | Path,
    max_latency: str | None = None,
    min_accuracy: float | None = None,
    watcher: SearchWatcher | None = None,
    **options: Any,
) -> SearchResult:
    """Search for the best compression of an ONNX file; results go to the folder `output`.

    Args:
        model: path of the file.
        data: what rewards and choices use, as `--data`.
        output: folder to make.
        max_latency: `25%` of the original's latency, or `4.2ms`.
        min_accuracy: a share of 1; negative: relative to the original's.
        watcher: is told how it goes.
        options: the other fields of `SearchOptions`.

    Raises:
        GalenError: see `galen.driver.search`.
    """
    objective = Objective(max_latency, min_accuracy)
    chosen = SearchOptions(model=Path(model), data=data, output=Path(output), objective=objective, **options)
    return run_search(chosen, watcher)


def compile(  # noqa: A001 - the word of the field
    model: Model | str | Path, target: str, path: str | Path | None = None, shapes: Shapes | None = None
) -> build.Artifact:
    """Return `model` compiled for `target`; its `run(inputs)` computes the outputs, on an emulated core for ARM.

    Args:
        model: a model, or the path of an ONNX file.
        target: name of a target, or path of its JSON file.
        path: where to write the shared library; None: a temporary file that lives as long as the result.
        shapes: numbers for dynamic dimensions, by input.

    Raises:
        GalenError: the target is unknown, or the model cannot be lowered.
    """
    found = find(target)
    if path is not None:
        return build.compile(_model(model), found, Path(path), shapes)
    folder = tempfile.mkdtemp(prefix="galen-")
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder)
        artifact = build.compile(_model(model), found, Path(folder, "model.so"), shapes)
        undo.pop_all()
    weakref.finalize(artifact, shutil.rmtree, folder, ignore_errors=True)
    return artifact


def measure(
    model: Model | str | Path,
    target: str = "cortex-a72",
    *,
    data: str | None = None,
    where: RunnerOptions | None = None,
    shapes: Shapes | None = None,
    seed: int = 0,
) -> Measurement:
    """Return the time of one inference of `model` on `target`, after its outputs agreed with onnxruntime's.

    Args:
        model: a model, or the path of an ONNX file.
        target: name of a target, or path of its JSON file.
        data: where the compared inputs come from, as `--data`; None: random ones.
        where: runner and its options; the default emulates ARM cores and uses this machine for `host`.
        shapes: numbers for dynamic dimensions, by input.
        seed: of the random inputs.

    Raises:
        GalenError: see `galen.measurement.measure`.
    """
    loaded = _model(model)
    where = where or RunnerOptions()
    return run_measure(loaded, where.target(target), where, _inputs(loaded, data, shapes, seed), shapes)


def evaluate(
    model: Model | str | Path, data: str, *, reference: Model | str | Path | None = None, metric: str | None = None
) -> Score:
    """Return the accuracy of `model` on `data`: top-1 with labels, else agreement with `reference`.

    Raises:
        GalenError: the data does not fit, or has no labels and there is neither reference nor metric.
    """
    loaded = _model(model)
    original = None if reference is None else _model(reference)
    return Accuracy(open_dataset(data, loaded), reference=original, metric=metric)(loaded)


def _model(model: Model | str | Path) -> Model:
    return model if isinstance(model, Model) else load(model)


def _inputs(model: Model, data: str | None, shapes: Shapes | None, seed: int) -> Arrays:
    """Return the inputs of one inference."""
    if data is None:
        return random_inputs(model, np.random.default_rng(seed), shapes)
    wanted = input_shapes(model, shapes)
    size = next(iter(wanted.values()))[0]
    batch = next(iter(open_dataset(data, model).batches(size)))
    for name, array in batch.inputs.items():
        if array.shape != wanted[name]:
            raise GalenError(f"has samples of shape {array.shape}, the model takes {wanted[name]}", where=data)
    return batch.inputs
