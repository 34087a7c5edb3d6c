"""The order in which nodes are lowered."""

from galen.ir import Graph, Node, Value


def schedule(graph: Graph) -> list[Node]:
    """Return the nodes that the outputs need, each after its inputs, shallow inputs first.

    So the long branch of a residual block comes last, right before the addition, which its last convolution can then
    take into its epilogue because the other branch is known.
    """
    depth = _depths(graph)
    done: dict[Node, None] = {}
    stack: list[tuple[Node, bool]] = [(n, False) for v in reversed(graph.outputs) if (n := v.producer()) is not None]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready:
            done[node] = None
            continue
        stack.append((node, True))
        inputs = dict.fromkeys(p for v in node.inputs if v is not None and (p := v.producer()) is not None)
        stack.extend((p, False) for p in sorted(inputs, key=lambda p: -depth[p]) if p not in done)
    return list(done)


def _depths(graph: Graph) -> dict[Node, int]:
    """Return the length of the longest path from an input to every node."""
    depth: dict[Node, int] = {}

    def of(value: Value | None) -> int:
        producer = value.producer() if value is not None else None
        return depth[producer] + 1 if producer is not None else 0

    for node in graph:
        depth[node] = max(map(of, node.inputs), default=0)
    return depth
