"""Models as executable, trainable torch code, and back."""

from galen.ir.fx.build import to_fx
from galen.ir.fx.trace import trace
from galen.ir.fx.weights import update_weights

__all__ = ["to_fx", "trace", "update_weights"]
