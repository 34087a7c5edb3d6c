"""BatchNorm put into folded networks while they train, and folded away again: folded weights train badly."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from galen.ir.fx.operators.window import conv
from galen.ir.fx.visit import visit

_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Inserted:
    """One BatchNorm behind one convolution, by their names in the module."""

    norm: str
    weight: str
    bias: str


def insert_batchnorm(module: fx.GraphModule, inputs: tuple[Tensor, ...]) -> list[Inserted]:
    """Put a BatchNorm behind every convolution with a bias, in place, such that `module` computes what it did.

    A convolution is passed over when it shares or quantizes its weight or a module (BatchNormalization) reads it.

    Args:
        module: from `to_fx`.
        inputs: samples that the statistics are measured on.
    """
    wanted = {str(node.meta["value"]): node for node in module.graph.nodes if _is_plain_conv(node)}
    moments: dict[str, tuple[Tensor, Tensor]] = {}

    def measure(name: str, value: Tensor, _inputs: tuple[Any, ...]) -> Tensor:
        if name in wanted:
            rows = value.movedim(1, 0).flatten(1)
            moments[name] = rows.mean(dim=1), rows.var(dim=1, correction=0)
        return value

    visit(module, inputs, measure)
    inserted = [_insert(module, node, *moments[name]) for name, node in wanted.items()]
    module.recompile()
    return inserted


def remove_batchnorm(module: fx.GraphModule, inserted: list[Inserted]) -> None:
    """Fold every BatchNorm that was inserted into the weights before it, in place."""
    for entry in inserted:
        norm = module.get_submodule(entry.norm)
        if not isinstance(norm, _KINDS) or norm.running_mean is None or norm.running_var is None:
            raise TypeError(f"{entry.norm} is not a BatchNorm with statistics")
        weight, bias = module.get_parameter(entry.weight), module.get_parameter(entry.bias)
        gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        weight.data.mul_(gain.reshape(-1, *[1] * (weight.dim() - 1)))
        bias.data.copy_((bias.data - norm.running_mean) * gain + norm.bias.detach())
        for node in list(module.graph.nodes):
            if node.op == "call_module" and node.target == entry.norm:
                node.replace_all_uses_with(node.args[0])
                module.graph.erase_node(node)
        module.delete_submodule(entry.norm)
    module.recompile()


def _is_plain_conv(node: fx.Node) -> bool:
    if node.target is not conv or len(node.args) < 3:
        return False
    parameters = node.args[1:3]
    own = all(isinstance(p, fx.Node) and p.op == "get_attr" and len(p.users) == 1 for p in parameters)
    return own and not any(user.op == "call_module" for user in node.users)


def _insert(module: fx.GraphModule, node: fx.Node, mean: Tensor, variance: Tensor) -> Inserted:
    """Insert one BatchNorm that is the identity as long as the statistics hold."""
    weight, bias = (str(p.target) for p in node.args[1:3] if isinstance(p, fx.Node))
    norm = _KINDS[module.get_parameter(weight).dim() - 3](len(mean))
    norm.running_mean, norm.running_var = mean.clone(), variance.clone()
    norm.weight.data.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.data.copy_(mean)
    name = f"{node.name}_norm"
    module.add_submodule(name, norm)
    with module.graph.inserting_after(node):
        after = module.graph.call_module(name, (node,))
    node.replace_all_uses_with(after, delete_user_cb=lambda user: user is not after)
    return Inserted(name, weight, bias)
