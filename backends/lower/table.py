"""The rules of every operator, in the order in which they are asked."""

from collections.abc import Callable

from galen.backends.lower.convolution import convolution, convolution_border
from galen.backends.lower.elementwise import elementwise
from galen.backends.lower.fuse import ACTIVATIONS, BINARY
from galen.backends.lower.lowering import Border, Lowering
from galen.backends.lower.matmul import gemm, matmul
from galen.backends.lower.pooling import global_average, pool
from galen.backends.lower.shape import move, reshape
from galen.ir import Node

Rule = Callable[[Lowering, Node], bool]

RULES: dict[str, tuple[Rule, ...]] = {
    "Conv": (convolution,),
    "Gemm": (gemm,),
    "MatMul": (matmul,),
    "MaxPool": (pool,),
    "AveragePool": (pool,),
    "GlobalAveragePool": (global_average,),
    "Slice": (move,),
    "Pad": (move,),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"), (reshape,)),
    **dict.fromkeys((*ACTIVATIONS, *BINARY), (elementwise,)),
}

BORDERS: dict[str, Border] = {"Conv": convolution_border}
