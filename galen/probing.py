"""Sensitivity of one model, measured once and remembered."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import numpy as np

from galen.agents.sensitivity import Sensitivity, log_softmax, measure
from galen.backends.folders import cache_folder
from galen.candidate import Compressor, Recovery, Stopwatch
from galen.ir import Batch, Model
from galen.ir.batch import BatchedModel
from galen.ir.costs import costs
from galen.ir.files import atomic
from galen.ir.io import save
from galen.passes.calibration import Range, calibrate
from galen.passes.policy import FP32, Policy
from galen.passes.quantize import quantize
from galen.passes.space import Space

SAMPLES = 256
_WORK = 10**10
"""Multiply-accumulates of one probe: large networks see fewer samples."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prober:
    """Log-probabilities of candidates on the first training samples, 256 of a small network; labels are not used.

    What is cut is repaired as the search does it, but for training: otherwise every cut looks like the end.
    """

    compress: Compressor
    batch: Batch
    _ranges: dict[str, Range] = field(default_factory=dict)

    @classmethod
    def of(cls, compress: Compressor) -> "Prober":
        """Return the prober on the compressor's training data."""
        subject = compress.subject
        count = min(max(_WORK // max(costs(subject.model, subject.shapes).macs, 1), 8), SAMPLES)
        untrained = replace(compress, recovery=Recovery(compress.recovery.method, 0))
        return cls(untrained, next(iter(subject.train.take(count).batches(count))))

    def __call__(self, policy: Policy) -> np.ndarray:
        """Return `[samples, classes]` of the model's first output under `policy`."""
        model = self.compress.recovered(policy, Stopwatch())
        if widths := {name: bits for name, bits in policy.layers.items() if bits != FP32}:
            quantize(model, widths, self._uncut_ranges if not policy.groups else self._calibrate)
        logits = next(iter(BatchedModel(model)(self.batch).values()))
        return log_softmax(logits.reshape(len(logits), -1).astype(np.float64))

    def _uncut_ranges(self, model: Model, bits: Mapping[str, int]) -> dict[str, Range]:
        """Measure each activation of the whole network once: all of its layers are probed, at all of their widths."""
        missing = {name: width for name, width in bits.items() if name not in self._ranges}
        self._ranges.update(self._calibrate(model, missing))
        return {name: self._ranges[name] for name in bits}

    @property
    def _count(self) -> int:
        return len(next(iter(self.batch.inputs.values())))

    def _calibrate(self, model: Model, bits: Mapping[str, int]) -> dict[str, Range]:
        return calibrate(model, bits, self.compress.subject.train.take(self._count), "minmax")

    def sensitivity(self, space: Space, cache: Path | None = None) -> Sensitivity:
        """Return the sensitivity of the model, from the cache when the same was measured before.

        Args:
            cache: folder; by default `sensitivity` in the user's cache folder of Galen.
        """
        path = (cache or cache_folder("sensitivity")) / f"{self._key(space)}.json"
        if (known := _read(path)) is not None:
            return known
        path.parent.mkdir(parents=True, exist_ok=True)
        found = measure(space, self)
        with atomic(path) as file:
            file.write(json.dumps(found.to_json()).encode())
        return found

    def _key(self, space: Space) -> str:
        """Return a digest of all that the result depends on: weights, space, recovery, criterion, samples."""
        weights = BytesIO()
        save(self.compress.subject.model, weights)
        parts = [weights.getvalue(), repr(space).encode(), repr(self.compress.recovery).encode()]
        parts += [self.compress.criterion.encode()]
        parts += [f"{name}{array.shape}".encode() + array.tobytes() for name, array in self.batch.inputs.items()]
        return hashlib.sha256(b"|".join(parts)).hexdigest()[:32]


def _read(path: Path) -> Sensitivity | None:
    """Return what was remembered, None: nothing, or it was damaged since."""
    if not path.is_file():
        return None
    try:
        return Sensitivity.from_json(json.loads(path.read_bytes()))
    except (ValueError, LookupError, TypeError, AttributeError):
        _log.warning("%s: damaged; measured anew", path)
        return None
