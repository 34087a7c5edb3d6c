"""Small constant matrices applied to vectors of registers, with few instructions: the transforms of Winograd."""

from collections.abc import Sequence

import numpy as np

from galen.backends.kernels.emit import Emitter, Expr

Matrix = np.ndarray


def apply_matrix(e: Emitter, matrix: Matrix, vector: Sequence[Expr], lanes: int) -> list[Expr]:
    """Return the expressions of `matrix @ vector`.

    Interpolation points come in pairs p, -p, so rows or columns come in pairs that differ in signs only; what they
    have in common is computed once.
    """
    if pairs := _pairs(matrix.T):
        matrix, vector = _pair_columns(e, matrix, list(vector), pairs)
    rows: dict[int, Expr] = {}
    for i, j in _pairs(matrix):
        rows[i], rows[j] = _pair_of_rows(e, matrix[i], matrix[j], vector, lanes)
    return [rows[i] if i in rows else e.let(_sum(e, matrix[i], vector, lanes)) for i in range(len(matrix))]


def _pairs(matrix: Matrix) -> list[tuple[int, int]]:
    """Return disjoint pairs of rows whose absolute values are equal and which have several terms."""
    found: list[tuple[int, int]] = []
    taken: set[int] = set()
    for i in range(len(matrix)):
        for j in range(i + 1, len(matrix)):
            if (
                not {i, j} & taken
                and np.array_equal(abs(matrix[i]), abs(matrix[j]))
                and np.count_nonzero(matrix[i]) > 1
            ):
                found.append((i, j))
                taken |= {i, j}
    return found


def _pair_columns(
    e: Emitter, matrix: Matrix, vector: list[Expr], pairs: Sequence[tuple[int, int]]
) -> tuple[Matrix, list[Expr]]:
    """Replace paired entries of the vector by their sum and difference, of which every row needs one."""
    matrix = matrix.copy()
    for i, j in pairs:
        same = matrix[:, i] == matrix[:, j]
        matrix[:, i], matrix[:, j] = np.where(same, matrix[:, i], 0), np.where(same, 0, matrix[:, i])
        vector[i], vector[j] = e.let(vector[i] + vector[j]), e.let(vector[i] - vector[j])
    return matrix, vector


def _pair_of_rows(e: Emitter, first: Matrix, second: Matrix, vector: Sequence[Expr], lanes: int) -> tuple[Expr, Expr]:
    """Return both rows as sum and difference of what they share and what differs in sign."""
    common, opposite = np.where(first == second, first, 0), np.where(first == second, 0, first)
    if not common.any() or not opposite.any():
        return e.let(_sum(e, first, vector, lanes)), e.let(_sum(e, second, vector, lanes))
    scale = abs(opposite[opposite != 0]).min()
    a = e.let(_sum(e, common, vector, lanes))
    b = e.let(_sum(e, opposite / scale, vector, lanes))
    if scale != 1:
        b = b * e.splat(float(scale), lanes, e.type_of(b))
    return e.let(a + b), e.let(a - b)


def _sum(e: Emitter, row: Matrix, vector: Sequence[Expr], lanes: int) -> Expr:
    """Return the linear combination, terms with coefficient 1 first so that every other one is a single instruction."""
    terms = sorted(
        ((float(c), x) for c, x in zip(row, vector, strict=True) if c), key=lambda t: (abs(t[0]) != 1, -t[0])
    )
    (coefficient, first), *rest = terms
    total = first if coefficient == 1 else first * e.splat(coefficient, lanes, e.type_of(first))
    for c, x in rest:
        total = total + x if c == 1 else total - x if c == -1 else total + x * e.splat(c, lanes, e.type_of(x))
    return total
