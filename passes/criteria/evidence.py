"""What criteria judge by: weights, gradients and activations of a model, each computed once, when first asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from galen.ir import GalenError, Model, Node, Samples
from galen.ir.coupling import Coupling, Group, Member, Weight
from galen.ir.coupling.axes import Ids
from galen.ir.coupling.operands import operand_key
from galen.ir.coupling.weights import is_weight, weight_array, weight_source
from galen.ir.edit import all_nodes
from galen.passes.criteria.activations import Patches, inputs_of
from galen.passes.criteria.gradients import Axis, Gradients, measure

Vector = NDArray[np.float64]
Array = NDArray[np.floating]


@dataclass(frozen=True)
class Reader:
    """A layer that sums over the channels of a group: its weight `[places, rest]`, and where the channels are in it."""

    weight: Weight
    member: Member
    rows: Array


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
    def nodes(self) -> dict[str, Node]:
        """Every node by its name."""
        return {node.name or str(node.outputs[0].name): node for node in all_nodes(self.model)}

    @cached_property
    def weights(self) -> dict[str, list[Weight]]:
        """The layers' constant weights by operand name."""
        by_name: dict[str, list[Weight]] = {}
        for weight in self.coupling.weights:
            node, index = self.operands[weight.operand]
            if is_weight(node.inputs[index]):
                by_name.setdefault(weight.operand, []).append(weight)
        return by_name

    def samples(self, criterion: str) -> Samples:
        """Return the data.

        Raises:
            GalenError: there is none.
        """
        if self.data is None:
            raise GalenError(f"the criterion {criterion!r} needs data", where="prune", hint="--train-data or --data")
        return self.data

    def constant(self, operand: str) -> Array:
        """Return the values of a constant operand."""
        node, index = self.operands[operand]
        return weight_array(node, index)

    @cached_property
    def gradients(self) -> Gradients:
        """Gradients of the loss, along every axis of a weight that a group lives in."""
        axes = {gate for group in self.coupling.groups for gate, _ in self.gates(group)}
        return measure(self.model, self.samples("taylor"), sorted(axes))

    @cached_property
    def read(self) -> dict[str, Patches]:
        """What the layers read, by the name of the value."""
        layers = [self.nodes[weight.layer] for weight in self.coupling.weights]
        plain = [node for node in layers if node.op_type in ("Conv", "Gemm", "MatMul")]
        return inputs_of(self.model, self.samples("activation"), plain)

    def gates(self, group: Group) -> list[tuple[Axis, Member]]:
        """Return the axes of initializers whose products with their gradients add up to that of the group's gate.

        They are those of the layers that read the group; where none has a weight (queries, keys) of those that
        compute it, biases included.
        """
        members = [reader.member for reader in self.readers(group)] or [
            member for member in group.members if self._computes(member)
        ]
        sources = [weight_source(node.inputs[i]) for node, i in (self.operands[member.value] for member in members)]
        return [((str(s.name), m.axis), m) for s, m in zip(sources, members, strict=True) if s is not None]

    def _computes(self, member: Member) -> bool:
        """Whether a member is an output axis of a weight, or the bias of a layer."""
        if any(weight.out_axis == member.axis for weight in self.weights.get(member.value, ())):
            return True
        node, index = self.operands.get(member.value, (None, -1))
        return node is not None and index == 2 and node.op_type in ("Conv", "ConvTranspose", "Gemm")

    def filters(self, group: Group) -> Iterator[tuple[Array, Ids]]:
        """Yield, per weight that computes the group, its values `[places, rest]` and the channels' places in it.

        The places are `[size, multiplicity]`.
        """
        for member in group.members:
            if any(weight.out_axis == member.axis for weight in self.weights.get(member.value, ())):
                yield self._rows(member), member.index

    def readers(self, group: Group) -> Iterator[Reader]:
        """Yield the layers that sum over the group."""
        for member in group.members:
            for weight in self.weights.get(member.value, ()):
                if weight.in_axis == member.axis:
                    yield Reader(weight, member, self._rows(member))

    def _rows(self, member: Member) -> Array:
        array = weight_array(*self.operands[member.value])
        return np.moveaxis(array, member.axis, 0).reshape(member.length, -1)
