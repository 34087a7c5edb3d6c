"""What criteria judge by: the weights of the layers of a model, read once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from galen.ir import Model, Node, Samples
from galen.ir.coupling import Coupling, Group, Weight
from galen.ir.coupling.axes import operand_key
from galen.ir.coupling.weights import is_weight, weight_array
from galen.ir.edit import all_nodes

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """A model, its coupling, and what else a criterion may ask for.

    Attributes:
        data: samples, needed by the criteria that look at activations or gradients.
        seed: of the `random` criterion.
    """

    model: Model
    coupling: Coupling
    data: Samples | None = None
    seed: int = 0

    @cached_property
    def operands(self) -> dict[str, tuple[Node, int]]:
        """Every input of every node by the name its axes are tracked by."""
        return {
            operand_key(node, index): (node, index)
            for node in all_nodes(self.model)
            for index, value in enumerate(node.inputs)
            if value is not None
        }

    @cached_property
    def weights(self) -> dict[str, list[Weight]]:
        """The layers' weights by operand name."""
        by_name: dict[str, list[Weight]] = {}
        for weight in self.coupling.weights:
            by_name.setdefault(weight.operand, []).append(weight)
        return by_name

    def filters(self, group: Group) -> Iterator[NDArray[np.floating]]:
        """Yield, per weight that computes the group, its values by channel: `[size, multiplicity, rest]`."""
        for member in group.members:
            for weight in self.weights.get(member.value, ()):
                if weight.out_axis == member.axis and is_weight(self.operands[member.value][0].inputs[weight.index]):
                    array = weight_array(*self.operands[member.value])
                    rows = np.moveaxis(array, member.axis, 0).reshape(member.length, -1)
                    yield rows[member.index]
                    break
