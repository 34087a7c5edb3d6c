"""Control flow: what enters a body, what it yields and what comes out of the node are one and the same."""

from galen.ir import Value
from galen.ir.coupling.axes import Axes, Ids
from galen.ir.coupling.operands import dims_of
from galen.ir.coupling.rule import Rule
from galen.ir.edit import subgraphs_of


def couple_if(axes: Axes) -> None:
    """Tie every output of the node to that output of both branches."""
    for branch in subgraphs_of(axes.node):
        for index, value in enumerate(branch.outputs):
            _tie_all(axes, value, _outputs(axes, index))


def couple_loop(axes: Axes) -> None:
    """Tie carried values: initial, body input, body output, final. Stacked outputs gain a leading axis."""
    (body,) = subgraphs_of(axes.node)
    carried = len(axes.node.inputs) - 2
    for index in range(carried):
        inside = body.inputs[index + 2]
        _tie_all(axes, inside, _inputs(axes, index + 2))
        _tie_all(axes, inside, _outputs(axes, index))
        _tie_all(axes, body.outputs[index + 1], _inputs(axes, index + 2))
    for index in range(carried, len(axes.node.outputs)):
        _tie_all(axes, body.outputs[index + 1], _outputs(axes, index)[1:])


def couple_scan(axes: Axes) -> None:
    """Tie states as a Loop ties what it carries; scanned inputs lose, stacked outputs gain an axis."""
    if axes.opset < 9:
        return
    (body,) = subgraphs_of(axes.node)
    scanned = axes.attribute("num_scan_inputs")
    states = len(axes.node.inputs) - scanned
    for index in range(states):
        _tie_all(axes, body.inputs[index], _inputs(axes, index))
        _tie_all(axes, body.inputs[index], _outputs(axes, index))
        _tie_all(axes, body.outputs[index], _inputs(axes, index))
    for place, axis in enumerate(axes.attribute("scan_input_axes") or [0] * scanned):
        _tie_all(axes, body.inputs[states + place], _without(_inputs(axes, states + place), axis))
    stacked = len(axes.node.outputs) - states
    for place, axis in enumerate(axes.attribute("scan_output_axes") or [0] * stacked):
        _tie_all(axes, body.outputs[states + place], _without(_outputs(axes, states + place), axis))


def _without(ids: list[Ids], axis: int) -> list[Ids]:
    return [each for place, each in enumerate(ids) if place != axis % len(ids)]


def _inputs(axes: Axes, index: int) -> list[Ids]:
    return [axes.input(index, axis) for axis in range(len(axes.input_dims(index) or ()))]


def _outputs(axes: Axes, index: int) -> list[Ids]:
    return [axes.output(index, axis) for axis in range(len(axes.output_dims(index) or ()))]


def _tie_all(axes: Axes, value: Value, outside: list[Ids]) -> None:
    """Tie the axes of a value of the body to those outside; freeze both sides where ranks differ."""
    inside = [axes.of(value, axis) for axis in range(len(dims_of(value) or ()))]
    if len(inside) == len(outside):
        for a, b in zip(inside, outside, strict=True):
            axes.tie(a, b)
        return
    for ids in (*inside, *outside):
        axes.freeze(ids, f"{axes.label} passes a value of unknown rank")


RULES = {"If": Rule(couple_if), "Loop": Rule(couple_loop), "Scan": Rule(couple_scan)}
