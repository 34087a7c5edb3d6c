"""The rules of every operator, in the order in which they are asked."""

from collections.abc import Callable

from galen.backends.lower import narrow_weights, quantized
from galen.backends.lower.along import column_softmax, extreme, log_softmax, running_sum
from galen.backends.lower.concat import concat, split
from galen.backends.lower.convolution import convolution, convolution_border
from galen.backends.lower.elementwise import elementwise
from galen.backends.lower.fuse import ACTIVATIONS, BINARY
from galen.backends.lower.indexed import gather_elements, gather_nd, scatter_nd, tile, top_k
from galen.backends.lower.lowering import Border, Lowering
from galen.backends.lower.matmul import gemm, matmul
from galen.backends.lower.normalize import group_norm, instance_norm
from galen.backends.lower.pad import pad
from galen.backends.lower.permute import transpose
from galen.backends.lower.pointwise import OPERATORS, pointwise
from galen.backends.lower.pooling import global_average, global_max, pool, reduce_mean
from galen.backends.lower.product import product
from galen.backends.lower.recurrent import recurrent
from galen.backends.lower.reduce import KINDS, reduce
from galen.backends.lower.resize import depth_to_space, resize
from galen.backends.lower.rows import layer_norm, softmax
from galen.backends.lower.shape import gather, lookup, move, reshape, slice_
from galen.backends.lower.transposed import transposed_border, transposed_convolution
from galen.backends.lower.volume import volume_convolution, volume_pool
from galen.ir import Node

Rule = Callable[[Lowering, Node], bool]

_FIRST: dict[str, tuple[Rule, ...]] = {
    "Conv": (quantized.convolution, convolution, volume_convolution),
    "ConvTranspose": (quantized.transposed_convolution, transposed_convolution),
    "Gemm": (quantized.gemm, narrow_weights.product, gemm),
    "MatMul": (quantized.matmul, narrow_weights.product, matmul, product),
    "MaxPool": (quantized.max_pool, pool, volume_pool),
    "AveragePool": (quantized.average, pool, volume_pool),
    "GlobalAveragePool": (quantized.average, global_average),
    **dict.fromkeys(KINDS, (reduce,)),
    "ReduceMean": (quantized.average, reduce_mean, reduce),
    "Slice": (quantized.move, move, slice_),
    "Gather": (gather, lookup),
    "Concat": (quantized.concat, concat),
    "Split": (quantized.split, split),
    "Transpose": (transpose,),
    "GlobalMaxPool": (global_max,),
    "GatherElements": (gather_elements,),
    "GatherND": (gather_nd,),
    "ScatterND": (scatter_nd,),
    "TopK": (top_k,),
    **dict.fromkeys(("Tile", "Expand"), (tile,)),
    **dict.fromkeys(("Resize", "Upsample"), (quantized.resize, resize)),
    "DepthToSpace": (quantized.depth_to_space, depth_to_space),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (recurrent,)),
    "Softmax": (softmax, column_softmax),
    "LogSoftmax": (log_softmax,),
    **dict.fromkeys(("ArgMax", "ArgMin"), (extreme,)),
    "CumSum": (running_sum,),
    "LayerNormalization": (layer_norm,),
    "InstanceNormalization": (instance_norm,),
    "GroupNormalization": (group_norm,),
    "Pad": (quantized.move, move, pad),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"), (quantized.reshape, reshape)),
    **dict.fromkeys((*ACTIVATIONS, *BINARY), (quantized.function, elementwise)),
    "Cast": (elementwise,),
    "Add": (quantized.add, quantized.function, elementwise),
    "Mul": (quantized.multiply, quantized.function, elementwise),
    "QuantizeLinear": (quantized.quantize,),
    "DequantizeLinear": (quantized.dequantize,),
}

RULES: dict[str, tuple[Rule, ...]] = {
    **_FIRST,
    **{operator: (*_FIRST.get(operator, ()), pointwise) for operator in OPERATORS},
}

BORDERS: dict[str, Border] = {"Conv": convolution_border, "ConvTranspose": transposed_border}
