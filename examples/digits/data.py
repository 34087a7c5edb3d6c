"""Write scikit-learn's handwritten digits as the three data sets of the demo: python examples/digits/data.py OUT."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

SEED = 0
SPLITS = {"train": slice(0, 1000), "search": slice(1000, 1400), "test": slice(1400, None)}


def splits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return uint8 images `[n, 8, 8]` and labels of every split, in a fixed random order."""
    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    images = (digits.images[order] * (255 / 16)).round().astype(np.uint8)
    labels = digits.target[order].astype(np.int64)
    return {name: (images[part], labels[part]) for name, part in SPLITS.items()}


def main(out: Path) -> None:
    """Write `train.npz`, `search.npz` and `test.npz`."""
    out.mkdir(parents=True, exist_ok=True)
    for name, (images, labels) in splits().items():
        np.savez(out / f"{name}.npz", images=images, labels=labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
