"""Matrix products, with either operand constant or none: a sum over the inner axis, the outer axes pass."""

from collections import defaultdict
from string import ascii_lowercase

from galen.ir.coupling.axes import Axes, Ids
from galen.ir.coupling.rule import Rule
from galen.ir.coupling.rules.elementwise import couple_broadcast_axes
from galen.ir.coupling.weights import is_weight


def couple_gemm(axes: Axes) -> None:
    """Tie A `[M, K]`, B `[K, N]` (each possibly transposed), C (broadcast) and Y `[M, N]`."""
    if axes.input_dims(0) is None or axes.input_dims(1) is None:
        return
    rows, inner = (1, 0) if axes.attribute("transA", 0) else (0, 1)
    depth, columns = (1, 0) if axes.attribute("transB", 0) else (0, 1)
    axes.tie(axes.sum_over(0, inner), axes.sum_over(1, depth))
    axes.tie(axes.input(0, rows), axes.output(0, 0))
    axes.tie(axes.input(1, columns), axes.output(0, 1))
    couple_broadcast_axes(axes, 2)
    _start(axes, 0, 1, (rows, inner), (columns, depth))


def couple_matmul(axes: Axes, *, right: int = 1, zero: int | None = None) -> None:
    """Tie A `[..., M, K]`, B `[..., K, N]` and Y `[..., M, N]`; leading axes broadcast, a vector has no outer axis.

    The arguments say which inputs B and the zero point of A are.
    """
    a, b = axes.input_dims(0), axes.input_dims(right)
    if a is None or b is None:
        return
    depth = -2 if len(b) > 1 else -1
    axes.tie(axes.sum_over(0, -1, zero), axes.sum_over(right, depth))
    if len(a) > 1:
        axes.tie(axes.input(0, -2), axes.output(0, -2 if len(b) > 1 else -1))
    if len(b) > 1:
        axes.tie(axes.input(right, -1), axes.output(0, -1))
    drop = 2 if len(a) > 1 and len(b) > 1 else 1
    for index in (0, right):
        couple_broadcast_axes(axes, index, drop=2, output_drop=drop)
    if len(a) > 2 and not is_weight(axes.node.inputs[0]) and not is_weight(axes.node.inputs[right]):
        axes.heads.append(axes.input(0, -3))
    if len(a) > 1 and len(b) > 1:
        _start(axes, 0, right, (len(a) - 2, len(a) - 1), (len(b) - 1, len(b) - 2))


def couple_qlinear_matmul(axes: Axes) -> None:
    """Tie QLinearMatMul: A and B at 0 and 3; B's scale and zero point may be per column."""
    couple_matmul(axes, right=3, zero=2)
    _couple_parameters(axes, (1, -2), (2, -2), (4, -1), (5, -1))


def couple_matmul_integer(axes: Axes) -> None:
    """Tie MatMulInteger: A and B at 0 and 1, their zero points at 2 and 3, B's possibly per column."""
    couple_matmul(axes, zero=2 if axes.input_dims(2) is not None else None)
    _couple_parameters(axes, (2, -2), (3, -1))


def _couple_parameters(axes: Axes, *places: tuple[int, int]) -> None:
    """Tie scales and zero points per row or column, `(input, axis of Y)`."""
    for index, axis in places:
        dims = axes.input_dims(index)
        if dims and dims[-1] != 1:
            axes.tie(axes.input(index, len(dims) - 1), axes.output(0, axis))


def _start(axes: Axes, left: int, right: int, a: tuple[int, int], b: tuple[int, int]) -> None:
    """Name the layer's weight, the right operand when both are constant. `a`, `b`: (outer axis, inner axis)."""
    if is_weight(axes.node.inputs[right]):
        axes.start(axes.output(0, -1))
        axes.layer(right, *b)
    elif is_weight(axes.node.inputs[left]):
        axes.start(axes.output(0, -2))
        axes.layer(left, *a)


def couple_einsum(axes: Axes) -> None:
    """Tie all axes that carry the same letter; a letter that the output lacks is summed over."""
    equation = axes.attribute("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if arrow and "." not in equation and all(len(set(term)) == len(term) for term in terms):
        _couple_terms(axes, terms, right)


def couple_fused_matmul(axes: Axes) -> None:
    """Tie FusedMatMul's A and B: the last axes of each, or its first and those of the batch, may be exchanged."""
    ranks = [len(axes.input_dims(index) or ()) for index in (0, 1)]
    if min(ranks) < 2:
        return
    batch = ascii_lowercase[: max(ranks) - 2]
    a = _term(axes, "A", ("x", "y"), batch[max(ranks) - ranks[0] :])
    b = _term(axes, "B", ("y", "z"), batch[max(ranks) - ranks[1] :])
    _couple_terms(axes, [a, b], batch + "xz")


def _term(axes: Axes, operand: str, letters: tuple[str, str], batch: str) -> str:
    first, last = letters[::-1] if axes.attribute(f"trans{operand}", 0) else letters
    return first + batch + last if axes.attribute(f"transBatch{operand}", 0) else batch + first + last


def _couple_terms(axes: Axes, terms: list[str], right: str) -> None:
    """Tie axes by their letters; of a product of two that are no weights, those that all share are heads."""
    letters: dict[str, list[Ids]] = defaultdict(list)
    for index, term in enumerate(terms):
        for axis, letter in enumerate(term):
            ask = axes.input if letter in right else axes.sum_over
            letters[letter].append(ask(index, axis))
    for axis, letter in enumerate(right):
        letters[letter].append(axes.output(0, axis))
    for first, *others in letters.values():
        for other in others:
            axes.tie(first, other)
    if not any(is_weight(value) for value in axes.node.inputs):
        axes.heads.extend(letters[letter][0] for letter in right if all(letter in term for term in terms))
    _start_einsum(axes, terms, right)


def _start_einsum(axes: Axes, terms: list[str], right: str) -> None:
    for index, term in enumerate(terms):
        others = "".join(terms[:index] + terms[index + 1 :])
        outer = [letter for letter in term if letter in right and letter not in others]
        inner = [letter for letter in term if letter in others and letter not in right]
        if is_weight(axes.node.inputs[index]):
            for letter in outer:
                axes.start(axes.output(0, right.index(letter)))
            if len(outer) == 1 and len(inner) == 1:
                axes.layer(index, term.index(outer[0]), term.index(inner[0]))


RULES = {
    "Gemm": Rule(couple_gemm),
    "MatMul": Rule(couple_matmul),
    "MatMulInteger": Rule(couple_matmul_integer),
    "QLinearMatMul": Rule(couple_qlinear_matmul),
    "Einsum": Rule(couple_einsum),
}
