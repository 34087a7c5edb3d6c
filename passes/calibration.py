"""The range of every activation, from samples: streamed twice at most, memory does not grow with their number."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from galen.ir import GalenError, Model, Samples
from galen.ir.batch import BatchedModel

Method = Literal["minmax", "percentile", "entropy", "mse"]

SAMPLES = 256
_BATCH = 32
_BINS = 2048
_PERCENTILE = 99.99
_CANDIDATES = np.linspace(0.2, 1.0, 81)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Range:
    """Values between `low` <= 0 and `high` >= 0 are to be represented, so that 0 is exact."""

    low: float
    high: float


def calibration_samples(train_data: Samples | None, data: Samples | None) -> Samples:
    """Return the first 256 training samples, or of the evaluation data, with a warning, where there are none.

    Raises:
        GalenError: there is neither.
    """
    if train_data is not None:
        return train_data.take(SAMPLES)
    if data is None:
        raise GalenError("quantization needs data to calibrate with", hint="--train-data, or calibration=random")
    _log.warning("calibrating on the evaluation data: give --train-data for an unbiased accuracy")
    return data.take(SAMPLES)


def calibrate(model: Model, bits: Mapping[str, int], samples: Samples, method: Method) -> dict[str, Range]:
    """Return the range of every named activation.

    Args:
        model: the model before quantization; left as it is.
        bits: activation name -> width it will have; `entropy` and `mse` depend on it.
        samples: what to run.
        method: `minmax`: everything seen; `percentile`: without 0.01 % at either end; `mse`: least squared error;
            `entropy`: least Kullback-Leibler divergence (Migacz 2017, "8-bit inference with TensorRT").

    Raises:
        GalenError: the model does not run on the samples, or computes infinities or NaN.
    """
    if not bits:
        return {}
    run = BatchedModel(model, list(bits))
    extremes = _extremes(run, samples)
    if method == "minmax":
        return extremes
    choose = _CHOICES[method]
    counts = _histograms(run, samples, extremes)
    return {name: choose(counts[name], extremes[name], bits[name]) for name in bits}


def _extremes(run: BatchedModel, samples: Samples) -> dict[str, Range]:
    found: dict[str, Range] = {}
    for batch in samples.batches(_BATCH):
        for name, array in run(batch).items():
            if not np.isfinite(array).all():
                raise GalenError("is infinite or NaN on the calibration data", where=f"activation {name}")
            old = found.get(name, Range(0.0, 0.0))
            low, high = float(array.min(initial=0.0)), float(array.max(initial=0.0))
            found[name] = Range(min(old.low, low), max(old.high, high))
    return found


def _histograms(run: BatchedModel, samples: Samples, ranges: Mapping[str, Range]) -> dict[str, np.ndarray]:
    """Count the values of every activation in equal bins over its range."""
    counts = {name: np.zeros(_BINS, np.int64) for name in ranges}
    for batch in samples.batches(_BATCH):
        for name, array in run(batch).items():
            low, high = ranges[name].low, ranges[name].high
            bins = ((array.reshape(-1) - low) * (_BINS / max(high - low, 1e-30))).astype(np.int32)
            counts[name] += np.bincount(bins.clip(0, _BINS - 1), minlength=_BINS)
    return counts


def _percentile(counts: np.ndarray, extremes: Range, _bits: int) -> Range:
    total = np.cumsum(counts) / max(counts.sum(), 1)
    edges = np.linspace(extremes.low, extremes.high, _BINS + 1)
    tail = 1 - _PERCENTILE / 100
    low = edges[int(np.searchsorted(total, tail, side="right"))]
    high = edges[min(int(np.searchsorted(total, 1 - tail)) + 1, _BINS)]
    return Range(min(float(low), 0.0), max(float(high), 0.0))


def _least(
    loss: Callable[[np.ndarray, np.ndarray, Range, int], float], counts: np.ndarray, extremes: Range, bits: int
) -> Range:
    """Return the range of least loss among those that shrink the extremes by one factor."""
    centres = np.linspace(extremes.low, extremes.high, 2 * _BINS + 1)[1::2]
    candidates = [Range(extremes.low * factor, extremes.high * factor) for factor in _CANDIDATES]
    losses = [loss(counts, centres, candidate, bits) for candidate in candidates]
    return candidates[int(np.argmin(losses))]


def _levels(centres: np.ndarray, candidate: Range, bits: int) -> tuple[np.ndarray, float]:
    """Return the level that each bin is rounded to, counted from 0, and the step between levels."""
    top = 2**bits - 1
    step = max((candidate.high - candidate.low) / top, 1e-30)
    return np.rint((centres - candidate.low) / step).clip(0, top).astype(np.int64), step


def _squared_error(counts: np.ndarray, centres: np.ndarray, candidate: Range, bits: int) -> float:
    levels, step = _levels(centres, candidate, bits)
    return float(counts @ np.square(candidate.low + levels * step - centres))


def _divergence(counts: np.ndarray, centres: np.ndarray, candidate: Range, bits: int) -> float:
    """KL(P || Q): P the clipped distribution, its outliers at the ends; Q each level's mass spread over its bins.

    The many exact zeros behind a Relu cost nothing at any range and are left out, lest they outweigh all other values.
    """
    zero = int(np.argmin(np.abs(centres)))
    counts = counts.copy()
    counts[zero] = counts[[max(zero - 1, 1), min(zero + 1, _BINS - 2)]].min()
    inside = (centres >= candidate.low) & (centres <= candidate.high)
    levels, _ = _levels(centres, candidate, bits)
    p = np.where(inside, counts, 0).astype(np.float64)
    used = inside & (counts > 0)
    mass, bins = np.bincount(levels, p), np.bincount(levels, used.astype(np.float64))
    q = np.where(used, mass[levels] / np.maximum(bins[levels], 1), 0)
    first, last = np.flatnonzero(inside)[[0, -1]]
    p[first] += counts[:first].sum()
    p[last] += counts[last + 1 :].sum()
    p, q = p / p.sum(), q / max(q.sum(), 1e-30)
    positive = p > 0
    return float(np.sum(p[positive] * np.log(p[positive] / np.maximum(q[positive], 1e-12))))


_CHOICES: dict[str, Callable[[np.ndarray, Range, int], Range]] = {
    "percentile": _percentile,
    "mse": lambda counts, extremes, bits: _least(_squared_error, counts, extremes, bits),
    "entropy": lambda counts, extremes, bits: _least(_divergence, counts, extremes, bits),
}
