"""The rules of every operator, in the order in which they are asked."""

from collections.abc import Callable

from galen.backends.lower import narrow_weights, quantized
from galen.backends.lower.concat import concat, split
from galen.backends.lower.convolution import convolution, convolution_border
from galen.backends.lower.elementwise import elementwise
from galen.backends.lower.fuse import ACTIVATIONS, BINARY
from galen.backends.lower.indexed import gather_elements, gather_nd, scatter_nd, tile, top_k
from galen.backends.lower.lowering import Border, Lowering
from galen.backends.lower.matmul import gemm, matmul
from galen.backends.lower.permute import transpose
from galen.backends.lower.pooling import global_average, global_max, pool, reduce_mean
from galen.backends.lower.product import product
from galen.backends.lower.recurrent import recurrent
from galen.backends.lower.resize import depth_to_space, resize
from galen.backends.lower.rows import layer_norm, softmax
from galen.backends.lower.shape import gather, lookup, move, reshape, slice_
from galen.backends.lower.transposed import transposed_border, transposed_convolution
from galen.ir import Node

Rule = Callable[[Lowering, Node], bool]

RULES: dict[str, tuple[Rule, ...]] = {
    "Conv": (quantized.convolution, convolution),
    "ConvTranspose": (transposed_convolution,),
    "Gemm": (quantized.gemm, narrow_weights.product, gemm),
    "MatMul": (quantized.matmul, narrow_weights.product, matmul, product),
    "MaxPool": (quantized.max_pool, pool),
    "AveragePool": (quantized.average, pool),
    "GlobalAveragePool": (quantized.average, global_average),
    "ReduceMean": (quantized.average, reduce_mean),
    "Slice": (quantized.move, move, slice_),
    "Gather": (gather, lookup),
    "Concat": (concat,),
    "Split": (split,),
    "Transpose": (transpose,),
    "GlobalMaxPool": (global_max,),
    "GatherElements": (gather_elements,),
    "GatherND": (gather_nd,),
    "ScatterND": (scatter_nd,),
    "TopK": (top_k,),
    **dict.fromkeys(("Tile", "Expand"), (tile,)),
    **dict.fromkeys(("Resize", "Upsample"), (resize,)),
    "DepthToSpace": (depth_to_space,),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (recurrent,)),
    "Softmax": (softmax,),
    "LayerNormalization": (layer_norm,),
    "Pad": (quantized.move, move),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"), (quantized.reshape, reshape)),
    **dict.fromkeys((*ACTIVATIONS, *BINARY), (quantized.function, elementwise)),
    "Add": (quantized.add, quantized.function, elementwise),
    "Mul": (quantized.multiply, quantized.function, elementwise),
    "QuantizeLinear": (quantized.quantize,),
    "DequantizeLinear": (quantized.dequantize,),
}

BORDERS: dict[str, Border] = {"Conv": convolution_border, "ConvTranspose": transposed_border}
