"""Does the Taylor criterion know what a channel is worth? Spearman against the oracle on ResNet-20.

The oracle of a channel is the change of the loss when the channel alone is zeroed, on held-out training images.
    python benchmarks/prune_taylor.py --model resnet20.onnx --data cifar10_train.npz [--seeds 3] [--channels 100]
"""

import argparse

import numpy as np
import onnx_ir
import onnxruntime
from scipy.stats import spearmanr

from galen.ir import Model, Samples
from galen.ir.coupling import couple
from galen.ir.coupling.mask import mask
from galen.ir.dataset import Dataset, open_dataset
from galen.ir.io import load
from galen.passes.criteria import Evidence, score
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.simplify import Simplify


def loss(model: Model, samples: Samples) -> float:
    """Return the mean cross-entropy of a model whose first output is logits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(onnx_ir.to_proto(model).SerializeToString(), options)
    total = 0.0
    for batch in samples.batches(128):
        logits = session.run(None, dict(batch.inputs))[0].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        total -= float(logs[np.arange(len(logs)), batch.labels].sum())
    return total / len(samples)


def part(samples: Dataset, places: np.ndarray) -> Dataset:
    """Return some of the samples."""
    return Dataset(lambda at: samples.read(places[at]), samples.labels[places], len(places))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--model", "--data"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--channels", type=int, default=100)
    parser.add_argument("--images", type=int, default=512)
    arguments = parser.parse_args()
    model = load(arguments.model)
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    samples, coupling = open_dataset(arguments.data, model), couple(model)
    channels = [(group, channel) for group in coupling.groups for channel in range(group.size)]
    for seed in range(arguments.seeds):
        rng = np.random.default_rng(seed)
        places = rng.permutation(len(samples))
        held, seen = part(samples, places[: arguments.images]), part(samples, places[arguments.images :])
        chosen = [channels[i] for i in rng.choice(len(channels), arguments.channels, replace=False)]
        whole = loss(model, held)
        oracle = []
        for group, channel in chosen:
            kept = np.delete(np.arange(group.size), channel)
            oracle.append(abs(loss(mask(model, coupling.cut({group.name: kept})), held) - whole))
        evidence = Evidence(model, coupling, seen, seed)
        for criterion in ("taylor", "hessian", "activation", "l1", "l2", "fpgm", "random"):
            scores = {group.name: score(evidence, group, criterion) for group in coupling.groups}
            rank = spearmanr(oracle, [scores[group.name][channel] for group, channel in chosen]).statistic
            print(f"seed {seed}  {criterion:12s} Spearman {rank:+.3f}", flush=True)


if __name__ == "__main__":
    main()
