"""Sensitivity of one model, measured once and remembered."""

import hashlib
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from galen.agents.sensitivity import Sensitivity, log_softmax, measure
from galen.backends.folders import cache_folder
from galen.candidate import Compressor
from galen.ir import Batch
from galen.ir.batch import BatchedModel
from galen.ir.files import atomic
from galen.ir.io import save
from galen.passes.policy import Policy
from galen.passes.space import Space

SAMPLES = 256


@dataclass(frozen=True)
class Prober:
    """Log-probabilities of candidates without recovery, on the first 256 training samples; labels are not used."""

    compress: Compressor
    batch: Batch

    @classmethod
    def of(cls, compress: Compressor) -> "Prober":
        """Return the prober on the compressor's training data."""
        return cls(compress, next(iter(compress.subject.train.take(SAMPLES).batches(SAMPLES))))

    def __call__(self, policy: Policy) -> np.ndarray:
        """Return `[samples, classes]` of the model's first output under `policy`."""
        logits = next(iter(BatchedModel(self.compress.unrepaired(policy))(self.batch).values()))
        return log_softmax(logits.reshape(len(logits), -1).astype(np.float64))

    def sensitivity(self, space: Space, cache: Path | None = None) -> Sensitivity:
        """Return the sensitivity of the model, from the cache when the same was measured before.

        Args:
            cache: folder; by default `sensitivity` in the user's cache folder of Galen.
        """
        path = (cache or cache_folder("sensitivity")) / f"{self._key(space)}.json"
        if path.is_file():
            return Sensitivity.from_json(json.loads(path.read_text()))
        path.parent.mkdir(parents=True, exist_ok=True)
        found = measure(space, self)
        with atomic(path) as file:
            file.write(json.dumps(found.to_json()).encode())
        return found

    def _key(self, space: Space) -> str:
        """Return a digest of all that the result depends on: weights, space, samples, criterion."""
        weights = BytesIO()
        save(self.compress.subject.model, weights)
        parts = [weights.getvalue(), repr(space).encode(), self.compress.criterion.encode()]
        parts += [f"{name}{array.shape}".encode() + array.tobytes() for name, array in self.batch.inputs.items()]
        return hashlib.sha256(b"|".join(parts)).hexdigest()[:32]
