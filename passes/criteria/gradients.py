"""Gradients of a loss by the weights, reduced to one number per place of an axis as they are measured."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galen.ir import Batch, Model, Samples

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

BATCHES, BATCH = 30, 32
"""Of how many samples a minibatch is, and how many of them are looked at (Molchanov et al. 2019, section 4)."""

Axis = tuple[str, int]
"""An axis of an initializer."""


@dataclass(frozen=True)
class Gradients:
    """Sums over all other axes.

    Attributes:
        products: weight times gradient, per minibatch `[batches, length]`.
        curvature: squared weight times squared gradient, mean over minibatches `[length]`.
    """

    products: dict[Axis, NDArray[np.float64]]
    curvature: dict[Axis, NDArray[np.float64]]


def measure(model: Model, samples: Samples, axes: Iterable[Axis]) -> Gradients:
    """Return the gradients on the first 30 minibatches of 32 samples, summed along the `axes` of initializers."""
    from galen.ir.fx import to_fx  # noqa: PLC0415

    module = to_fx(model).eval()
    places = module.meta["parameters"]
    parameters = {axis: module.get_parameter(places[axis[0]]) for axis in axes if axis[0] in places}
    products: dict[Axis, list[NDArray[np.float64]]] = {axis: [] for axis in parameters}
    curvature = {axis: np.zeros(weight.shape[axis[1]]) for axis, weight in parameters.items()}
    batches = list(samples.take(BATCHES * BATCH).batches(BATCH))
    for batch in batches:
        module.zero_grad()
        _loss(module, batch).backward()  # type: ignore[no-untyped-call]
        for axis, weight in parameters.items():
            if weight.grad is not None:
                product = weight.detach() * weight.grad
                products[axis].append(_along(product, axis[1]))
                curvature[axis] += _along(product.square(), axis[1]) / len(batches)
    return Gradients({axis: np.stack(rows) for axis, rows in products.items() if rows}, curvature)


def _along(tensor: "Tensor", axis: int) -> NDArray[np.float64]:
    rows: NDArray[np.float64] = tensor.movedim(axis, 0).flatten(1).sum(1).double().numpy()
    return rows


def _loss(module: "Module", batch: Batch) -> "Tensor":
    """Return cross-entropy by the labels, or by the model's own answers; of outputs that are no classes, the energy.

    A model that ends in Softmax gives probabilities: rows that are positive and sum to 1.
    """
    from torch import from_numpy  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    from galen.ir.fx.visit import tensors  # noqa: PLC0415

    result = module(*tensors(batch))
    output: Tensor = result[0] if isinstance(result, tuple) else result
    if output.dim() != 2 or (batch.labels is not None and int(batch.labels.max()) >= output.shape[1]):
        return output.double().square().mean()
    labels = output.argmax(1) if batch.labels is None else from_numpy(np.asarray(batch.labels, np.int64))
    probabilities = bool((output >= 0).all()) and bool(((output.sum(1) - 1).abs() < 1e-4).all())
    logarithms = output.clamp_min(1e-12).log() if probabilities else functional.log_softmax(output, 1)
    return functional.nll_loss(logarithms, labels)
