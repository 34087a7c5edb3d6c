"""What the layers of a model read on data: patches of their inputs, `[positions, places, taps]`.

A place is an index of the axis that the layer sums over, a tap one of the kernel's (1 of a linear layer).
"""

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from galen.ir import Model, Node, Samples
from galen.ir.batch import BatchedModel
from galen.ir.edit import attribute

SAMPLES, POSITIONS = 64, 8
"""How many samples are looked at, and at how many output positions of each."""

Patches = NDArray[np.floating]


def inputs_of(model: Model, samples: Samples, nodes: Iterable[Node]) -> dict[str, Patches]:
    """Return the data that layers read, by the name of the value."""
    batch = next(samples.take(SAMPLES).batches(SAMPLES))
    names = {str(value.name) for node in nodes for value in node.inputs[:2] if value is not None and value.producer()}
    return {**batch.inputs, **(BatchedModel(model, sorted(names))(batch) if names else {})}


def patches(node: Node, weight: int, data: Patches) -> Patches | None:
    """Return the patches of `data` that a layer multiplies with its weight, None for a layer of another kind.

    Args:
        node: Conv of one group, Gemm or MatMul.
        weight: which of its operands the weight is.
        data: the other operand, first axis: sample.
    """
    if node.op_type == "Conv":
        return _windows(node, data) if attribute(node, "group", 1) == 1 else None
    if node.op_type not in ("Gemm", "MatMul"):
        return None
    transposed = attribute(node, "transB" if weight == 0 else "transA", 0)
    summed = (-1 if weight == 1 else -2) if not transposed else (-2 if weight == 1 else -1)
    rows = np.moveaxis(data, summed, -1).reshape(-1, data.shape[summed])
    step = max(len(rows) // (SAMPLES * POSITIONS), 1)
    return rows[::step, :, None]


def _windows(node: Node, data: Patches) -> Patches:
    kernel = node.inputs[1].shape.numpy()[2:]  # type: ignore[union-attr]
    dims = len(kernel)
    strides, dilations = (attribute(node, name) or [1] * dims for name in ("strides", "dilations"))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = attribute(node, "pads") or [0] * (2 * dims)
    if str(attribute(node, "auto_pad", "")).startswith("SAME"):
        pads = [(span - 1) // 2 for span in spans] + [span // 2 for span in spans]
    padded = np.pad(data, [(0, 0), (0, 0), *zip(pads[:dims], pads[dims:], strict=True)])
    views = sliding_window_view(padded, spans, axis=tuple(range(2, 2 + dims)))
    views = views[(slice(None), slice(None), *(slice(None, None, s) for s in (*strides, *dilations)))]
    views = np.moveaxis(views, range(2, 2 + dims), range(dims))
    places = list(itertools.product(*(range(n) for n in views.shape[:dims])))
    chosen = places[:: max(len(places) // POSITIONS, 1)][:POSITIONS]
    picked = np.stack([views[place] for place in chosen], axis=1)
    return picked.reshape(-1, data.shape[1], int(np.prod(kernel)))
