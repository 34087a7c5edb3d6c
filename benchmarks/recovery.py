"""What a halved network still answers, by criterion and by recovery without training.

python benchmarks/recovery.py resnet20_cifar10.onnx --data cifar10_val5k.npz --train-data cifar10_train.npz
"""

import argparse

from galen.backends.accuracy import Accuracy
from galen.ir.clone import clone
from galen.ir.coupling import apply_cut
from galen.ir.dataset import open_dataset
from galen.ir.io import load
from galen.passes.prune import Prune
from galen.passes.recover import Reconstruction, Statistics
from galen.passes.simplify import Simplify


def main() -> None:
    """Print accuracy on the first images after cutting half of every group."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--train-data", required=True)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--criteria", nargs="+", default=["l1", "l2", "activation"])
    arguments = parser.parse_args()
    model = load(arguments.model)
    Simplify().apply(model)
    train = open_dataset(arguments.train_data, model)
    accuracy = Accuracy(open_dataset(arguments.data, model).take(arguments.images))
    statistics, squares = Statistics(model, train), Reconstruction(model, train)
    for criterion in arguments.criteria:
        cut = Prune(sparsity=0.5, criterion=criterion, data=train, seed=0).cut(model)
        matched, fitted = clone(model), clone(model)
        apply_cut(matched, cut)
        apply_cut(fitted, cut)
        statistics.match(matched, cut)
        squares.fit(fitted, cut)
        scores = f"statistics {accuracy(matched).accuracy:.3f}, least squares {accuracy(fitted).accuracy:.3f}"
        print(f"{criterion:12} {scores}", flush=True)


if __name__ == "__main__":
    main()
