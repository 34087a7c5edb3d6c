"""Remove whole residual blocks (N2N, Ashok et al. 2018, section 3.2): the shortcut stays, what adds to it goes."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from galen.ir import GalenError, Model, Node, UsageError, Value
from galen.ir.coupling.weights import is_weight
from galen.ir.edit import all_nodes, can_stand_for, replace_uses
from galen.passes import origin
from galen.passes.base import Pass
from galen.passes.eliminate_dead_code import EliminateDeadCode


@dataclass(frozen=True)
class Block:
    """A sum of a shortcut and a body that start from the same value."""

    sum: Node
    shortcut: Value
    body: frozenset[Node]


@dataclass(frozen=True)
class RemoveBlocks(Pass, name="remove-blocks"):
    """Let everything that reads a residual block's sum read its shortcut: the identity, or the projection.

    Attributes:
        blocks: names or patterns of the Add nodes that end the blocks, or of layers in their bodies.
    """

    blocks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.blocks:
            raise UsageError("remove-blocks takes blocks, names or patterns")

    def apply(self, model: Model, /) -> bool:
        """Return whether a block was removed.

        Raises:
            GalenError: a pattern names no block.
        """
        found = list(find_blocks(model))
        for pattern in self.blocks:
            if not any(_is_named(block, pattern) for block in found):
                names = ", ".join(str(block.sum.name) for block in found) or "none"
                raise GalenError(f"no residual block fits {pattern!r}", where="remove-blocks", hint=f"blocks: {names}")
        origin.stamp(model)
        for block in find_blocks(model):
            named = any(_is_named(block, pattern) for pattern in self.blocks)
            if named and can_stand_for(block.shortcut, block.sum.outputs[0]):
                replace_uses(block.sum.outputs[0], block.shortcut)
        return EliminateDeadCode().apply(model)


def find_blocks(model: Model) -> Iterator[Block]:
    """Yield the residual blocks of a model in order of execution."""
    for node in list(all_nodes(model)):
        if node.op_type == "Add" and not node.domain and not any(is_weight(value) for value in node.inputs):
            block = _block(node)
            if block is not None:
                yield block


def _block(node: Node) -> Block | None:
    """Return the block that ends in a sum: the side with fewer layers since the common value is the shortcut."""
    left, right = (_before(value) for value in node.inputs)
    sides = [(left - right, node.inputs[0], right - left), (right - left, node.inputs[1], left - right)]
    ranked = sorted(sides, key=lambda side: (_layers(side[0]), len(side[0])))
    own, shortcut, body = ranked[0]
    if shortcut is None or _layers(own) >= _layers(body) or not _meets(left & right, shortcut, own):
        return None
    return Block(node, shortcut, frozenset(body))


def _meets(common: set[Node], shortcut: Value, own: set[Node]) -> bool:
    """Whether the sides start from the same value: from a common node, or the shortcut is an input of the model."""
    return bool(common) or (not own and shortcut.producer() is None)


def _before(value: Value | None) -> set[Node]:
    """Return all nodes that a value depends on."""
    seen: set[Node] = set()
    stack = [value.producer()] if value is not None else []
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack.extend(source.producer() for source in node.inputs if source is not None)
    return seen


def _layers(nodes: set[Node]) -> int:
    return sum(any(is_weight(value) for value in node.inputs[1:]) for node in nodes)


def _is_named(block: Block, pattern: str) -> bool:
    names = [str(block.sum.name), *(str(node.name) for node in block.body)]
    return any(fnmatchcase(name, pattern) for name in names)
