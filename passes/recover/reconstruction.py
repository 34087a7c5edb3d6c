"""Least squares: every layer of what is left is fitted to what the original's layer computed on the same samples.

He, Zhang, Sun 2017 (Channel Pruning for Accelerating Very Deep Neural Networks), section 3.1, the reconstruction step,
here for every layer in turn, each seeing the corrected output of those before it.
"""

import math
from typing import TYPE_CHECKING, Any

from galen.ir import Model, Samples
from galen.ir.edit import attribute, const_value
from galen.passes.quantizable import Layer
from galen.passes.recover.statistics import Kept, channel_axis, own_layers, parameter

if TYPE_CHECKING:
    from torch import Tensor, fx

SAMPLES = 256
_MEMORY = 2**29
"""Bytes that the original's outputs may take; samples are fewer where a network is large."""
_CHUNK = 32
_ROWS = 2**14
"""Output positions that a layer is fitted to when it has more: many times its unknowns, and neighbours are alike."""
_RIDGE = 1e-3
"""Relative to the mean square of the inputs: directions that the samples hardly show keep the weights they have."""


class Reconstruction:
    """The original's layer outputs on some samples, to which any number of candidates can be fitted.

    Args:
        reference: the original.
        samples: the first 256 are used, fewer for large networks.
    """

    def __init__(self, reference: Model, samples: Samples) -> None:
        from galen.ir.fx import to_fx  # noqa: PLC0415
        from galen.ir.fx.visit import tensors, visit  # noqa: PLC0415

        self._targets: dict[str, Tensor] = {}
        layers, module = own_layers(reference), to_fx(reference)

        def keep(name: str, value: "Tensor", _inputs: tuple[Any, ...]) -> "Tensor":
            if name in layers:
                self._targets[name] = value
            return value

        visit(module, tensors(next(iter(samples.batches(1)))), keep)
        one = sum(target.numel() * target.element_size() for target in self._targets.values())
        count = max(min(SAMPLES, _MEMORY // max(one, 1)), 1)
        self._inputs = tensors(next(iter(samples.take(count).batches(count))))
        visit(module, self._inputs, keep)

    def fit(self, candidate: Model, cut: Kept) -> None:
        """Fit every layer of `candidate`, in place, that lost inputs or whose inputs have changed."""
        import torch  # noqa: PLC0415

        from galen.ir.fx import to_fx, update_weights  # noqa: PLC0415
        from galen.ir.fx.visit import visit  # noqa: PLC0415

        module, layers = to_fx(candidate), own_layers(candidate)

        def correct(name: str, value: "Tensor", inputs: tuple[Any, ...]) -> "Tensor":
            layer = layers.get(name)
            if layer is None or name not in self._targets or not _is_linear_map(layer):
                return value
            kept, axis = cut.kept(name, channel_axis(layer)), channel_axis(layer)
            target = self._targets[name] if kept is None else self._targets[name].index_select(axis, _index(kept))
            return value if torch.equal(value, target) else _fit(module, layer, inputs[0], value, target)

        visit(module, self._inputs, correct)
        update_weights(candidate, module)


def _is_linear_map(layer: Layer) -> bool:
    rank = len(const_value(layer.node.inputs[layer.weight]).shape)  # type: ignore[union-attr]
    return (layer.node.op_type, rank) in (("Conv", 4), ("Gemm", 2))


def _index(kept: Any) -> "Tensor":
    import torch  # noqa: PLC0415

    return torch.from_numpy(kept)


def _fit(module: "fx.GraphModule", layer: Layer, x: "Tensor", value: "Tensor", target: "Tensor") -> "Tensor":
    """Solve the normal equations for the change of weight and bias; return the layer's new output."""
    import torch  # noqa: PLC0415

    weight = parameter(module, layer.node.inputs[layer.weight])
    bias = None if layer.bias is None else parameter(module, layer.bias[0].inputs[layer.bias[1]])
    gram, moment = _normal_equations(layer, x, weight, target - value)
    if bias is None:
        gram, moment = gram[:, :-1, :-1], moment[:, :-1]
    ridge = _RIDGE * gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-12)
    change = torch.linalg.solve(gram + torch.diag_embed(ridge[:, None].expand(-1, gram.shape[1])), moment)
    kernel = change if bias is None else change[:, :-1]
    transposed = layer.node.op_type == "Gemm" and not attribute(layer.node, "transB", 0)
    weight.add_((kernel[0] if transposed else kernel.mT).reshape(weight.shape).to(weight.dtype))
    if bias is not None:
        bias.add_(change[:, -1].reshape(bias.shape).to(bias.dtype))
    function, keywords = _operator(layer)
    result: Tensor = function(x, weight, bias, **keywords)
    return result


def _normal_equations(layer: Layer, x: "Tensor", weight: "Tensor", residual: "Tensor") -> "tuple[Tensor, Tensor]":
    """Return `rows' rows` and `rows' residual` per group; the last row and column belong to the bias."""
    import torch  # noqa: PLC0415

    gram, moment = torch.zeros(()), torch.zeros(())
    every = _thinning(residual)
    if residual.dim() == 4:
        residual = residual[:, :, ::every, ::every]
    for some_x, some in zip(torch.split(x, _CHUNK), torch.split(residual, _CHUNK), strict=True):
        rows = _rows(layer, some_x, weight, every)
        flat = some.movedim(1, -1).flatten(0, -2)
        outputs = flat.reshape(len(flat), len(rows), -1).movedim(1, 0)
        design = torch.cat([rows, rows.new_ones(*rows.shape[:2], 1)], dim=2)
        gram = gram + (design.mT @ design).double()
        moment = moment + (design.mT @ outputs).double()
    return gram, moment


def _thinning(residual: "Tensor") -> int:
    """Return how many rows, and columns, of a layer's output there are for each that it is fitted to."""
    positions = residual.numel() // residual.shape[1]
    return max(math.isqrt(positions // _ROWS), 1) if residual.dim() == 4 else 1


def _rows(layer: Layer, x: "Tensor", weight: "Tensor", every: int) -> "Tensor":
    """Return what every output is a product with, `[groups, outputs, inputs per group x kernel]`."""
    from galen.ir.fx.operators.window import conv_rows  # noqa: PLC0415

    return x[None] if layer.node.op_type == "Gemm" else conv_rows(x, weight, every=every, **_operator(layer)[1])


def _operator(layer: Layer) -> tuple[Any, dict[str, Any]]:
    from galen.ir.fx.operators.algebra import gemm  # noqa: PLC0415
    from galen.ir.fx.operators.window import conv  # noqa: PLC0415

    inert = {"kernel_shape"}
    keywords = {name: attribute(layer.node, name) for name in layer.node.attributes if name not in inert}
    return (gemm if layer.node.op_type == "Gemm" else conv), keywords
