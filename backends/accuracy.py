"""How well a model does on data: top-1 with labels, agreement with a reference without, or the user's own metric."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from galen.ir import Batch, GalenError, Model, Samples
from galen.ir.batch import BatchedModel
from galen.ir.user_code import load_function

_BATCH = 100

Outputs = Mapping[str, np.ndarray]
Measure = Callable[[Outputs, Batch, int], np.ndarray]
"""Outputs of a batch, the batch, its first sample's number -> one score per sample."""


@dataclass(frozen=True)
class Score:
    """Accuracy as a share of 1, every sample weighing the same.

    Attributes:
        samples: how many were run.
        complete: whether these were all; an incomplete score belongs to a model that could no longer reach the bar.
    """

    accuracy: float
    samples: int
    metric: str
    complete: bool = True


class Accuracy:
    """Scores models on one data set, all in the same way.

    Args:
        samples: what to run, in this order.
        reference: the model that others are compared with where there are no labels.
        metric: `module:function`, called with outputs by name, inputs by name and labels of a batch; returns their
            mean, or one number per sample. Default: top-1, or agreement with `reference` without labels.

    Raises:
        GalenError: neither labels nor reference nor metric, or the metric cannot be imported.
    """

    def __init__(self, samples: Samples, *, reference: Model | None = None, metric: str | None = None) -> None:
        self._samples = samples
        self._bounded = metric is None
        if metric is not None:
            self.metric, self._measure = metric, _custom(metric)
        elif next(iter(samples.batches(1))).labels is not None:
            self.metric, self._measure = "top-1", _top1
        elif reference is not None:
            self.metric, self._measure = "agreement", _Agreement(reference, samples)
        else:
            raise GalenError("the data has no labels", hint="add labels, or a reference model to agree with")

    def __call__(self, model: Model, bar: float | None = None) -> Score:
        """Run `model` and return its score.

        Args:
            model: of any batch size; see `galen.ir.batch.BatchedModel`.
            bar: stop as soon as the final score is certain to be lower (shares of 1 only, not the user's metrics).

        Raises:
            GalenError: the model does not run on the data, or the metric returns something else than numbers.
        """
        run, total, seen, count = BatchedModel(model), 0.0, 0, len(self._samples)
        for outputs, batch in _evaluated(run, self._samples):
            scores = self._measure(outputs, batch, seen)
            total += float(scores.sum())
            seen += len(scores)
            if self._bounded and bar is not None and (total + count - seen) / count < bar:
                break
        return Score(total / max(seen, 1), seen, self.metric, seen == count)


def _evaluated(run: BatchedModel, samples: Samples) -> Iterator[tuple[Outputs, Batch]]:
    for batch in samples.batches(_BATCH):
        yield run(batch), batch


def _size(batch: Batch) -> int:
    return len(next(iter(batch.inputs.values())))


def _top1(outputs: Outputs, batch: Batch, _first: int) -> np.ndarray:
    """Compare the largest element of the first output with the label."""
    scores = next(iter(outputs.values())).reshape(_size(batch), -1)
    if batch.labels is None:
        raise GalenError("a batch has no labels")
    if (largest := batch.labels.max(initial=0)) >= scores.shape[1]:
        raise GalenError(f"label {largest}, but the model has {scores.shape[1]} classes", where="labels")
    return np.asarray(scores.argmax(axis=1) == batch.labels)


class _Agreement:
    """Same class as the reference; for outputs that are no class scores the share of their energy that is the same."""

    def __init__(self, reference: Model, samples: Samples) -> None:
        self._expected = [dict(outputs) for outputs, _ in _evaluated(BatchedModel(reference), samples)]

    def __call__(self, outputs: Outputs, batch: Batch, first: int) -> np.ndarray:
        expected = self._expected[first // _BATCH]
        parts = []
        for actual, wanted in zip(outputs.values(), expected.values(), strict=True):
            if actual.shape != wanted.shape:
                raise GalenError(f"output of shape {actual.shape}, the reference has {wanted.shape}")
            parts.append(_agreement(actual, wanted, _size(batch)))
        return np.asarray(np.mean(parts, axis=0))


def _agreement(actual: np.ndarray, wanted: np.ndarray, count: int) -> np.ndarray:
    if wanted.ndim == 2 and wanted.shape[1] > 1:
        return np.asarray(actual.argmax(axis=1) == wanted.argmax(axis=1), np.float64)
    rows, expected = (array.reshape(count, -1).astype(np.float64) for array in (actual, wanted))
    energy = np.maximum(np.square(expected).sum(axis=1), 1e-30)
    return np.asarray((1 - np.square(rows - expected).sum(axis=1) / energy).clip(0, 1))


def _custom(spec: str) -> Measure:
    function = load_function(spec)

    def measure(outputs: Outputs, batch: Batch, _first: int) -> np.ndarray:
        result = np.asarray(function(outputs, batch.inputs, batch.labels))
        count = _size(batch)
        if result.dtype.kind not in "fiub" or result.shape not in ((), (count,)) or not np.isfinite(result).all():
            raise GalenError(f"returned {result.dtype} {list(result.shape)}, expected 1 or {count} numbers", where=spec)
        return np.broadcast_to(result.astype(np.float64), (count,))

    return measure
