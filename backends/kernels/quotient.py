"""Division by one number: ARM cores multiply ten times faster than they divide.

With `y` the rounded reciprocal of `b`, `q` nearly the quotient, and `x - q b` its remainder in one rounding,
`q + (x - q b) y` is nearer, and the second time the rounded quotient (Markstein, Computation of elementary functions,
1990).
"""

from galen.backends.kernels.emit import Emitter, Expr

_FAR = 2.0**20
"""Far beyond every int8. Dividends are limited to what has such quotients, so that nothing overflows."""


class Divisor:
    """Divides by `divisor`, rounded as the division instruction rounds; quotients are limited to `_FAR`."""

    def __init__(self, e: Emitter, divisor: Expr) -> None:
        self.e, self.divisor = e, e.let(divisor)
        if e.arm:
            self.reciprocal, self.negative = e.let(e.T.float32(1) / self.divisor), e.let(-self.divisor)
            self.most, self.least = e.let(self.divisor * e.T.float32(_FAR)), e.let(self.divisor * e.T.float32(-_FAR))

    def divide(self, x: Expr, lanes: int) -> Expr:
        """Return the quotient of a vector of `lanes`, or of a number."""
        e = self.e
        if not e.arm:
            return x / e.splat(self.divisor, lanes)
        y, b = e.splat(self.reciprocal, lanes), e.splat(self.negative, lanes)
        x = e.let(e.T.min(e.T.max(x, e.splat(self.least, lanes)), e.splat(self.most, lanes)))
        q = e.let(x * y)
        for _ in range(2):
            q = e.let(e.T.fma(e.T.fma(q, b, x), y, q))
        return q
