"""Train a small residual network on scikit-learn's handwritten digits: python examples/digits/train.py.

Writes `digits.onnx` beside this file and prints its accuracy on the splits of `data.py`. The same seed gives the same
weights on the same machine.
"""

from pathlib import Path

import numpy as np
import torch
from data import SEED, splits
from torch import Tensor, nn
from torch.nn import functional

from galen.ir import Model
from galen.ir.fx import trace
from galen.ir.io import save
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.simplify import Simplify

HERE = Path(__file__).resolve().parent
EPOCHS = 40


class Block(nn.Module):
    """Two convolutions around which the input goes, through a third one where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(conv2(relu(conv1(x))) + shortcut(x)), each convolution normalised."""
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class Digits(nn.Module):
    """Three residual stages of 16, 24 and 32 channels on 8x8 pixels, 42 thousand parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.block1, self.block2, self.block3 = Block(16, 16, 1), Block(16, 24, 2), Block(24, 32, 2)
        self.head = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return ten class scores for images `[n, 1, 8, 8]`."""
        x = functional.relu(self.norm(self.stem(image)))
        scores: Tensor = self.head(self.block3(self.block2(self.block1(x))).mean((2, 3)))
        return scores


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move every image by up to one pixel, so that a thousand of them suffice."""
    padded = functional.pad(images, (1, 1, 1, 1))
    dy, dx = torch.randint(0, 3, (2, len(images)), generator=generator)
    rows, columns = dy[:, None] + torch.arange(8), dx[:, None] + torch.arange(8)
    return padded[torch.arange(len(images))[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def train(images: np.ndarray, labels: np.ndarray) -> Digits:
    """Return a trained network."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    x, y = torch.from_numpy(images)[:, None] / 255, torch.from_numpy(labels)
    network = Digits()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x), generator=generator).split(50):
            loss = functional.cross_entropy(network(shifted(x[batch], generator)), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return network.eval()


def name_layers(model: Model) -> None:
    """Name every layer after the module that its weight belongs to: `block1.conv2`."""
    for node in model.graph:
        node.metadata_props.clear()  # where the exporter notes stack traces
        weights = [
            str(value.name) for value in node.inputs if value is not None and str(value.name).endswith(".weight")
        ]
        if weights:
            node.name = weights[0].removesuffix(".weight")


def main() -> None:
    """Write the network and print how good it is."""
    data = splits()
    network = train(*data["train"])
    model = trace(network, (torch.zeros(2, 1, 8, 8),))
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    name_layers(model)
    save(model, HERE / "digits.onnx")
    for name, (images, labels) in data.items():
        with torch.no_grad():
            right = network(torch.from_numpy(images)[:, None] / 255).argmax(1).numpy() == labels
        print(f"{name}: {right.mean():.4f} of {len(labels)}")


if __name__ == "__main__":
    main()
