"""Lowering of the QDQ form (`galen.passes.quantize`) to integer kernels; meanings in `galen.backends.integer`.

A rule takes a node whose activations are dequantized and whose output is quantized, computes the integers, and skips
everything between. What has no rule computes in fp32 between Dequantize and Quantize, as the graph says.
"""

from galen.backends.lower.quantized_channels import concat, split
from galen.backends.lower.quantized_edges import dequantize, quantize
from galen.backends.lower.quantized_elementwise import add, function, multiply
from galen.backends.lower.quantized_layers import convolution, gemm, matmul
from galen.backends.lower.quantized_moves import move, reshape, resize
from galen.backends.lower.quantized_pooling import average, max_pool
from galen.backends.lower.quantized_upsampling import depth_to_space, transposed_convolution

__all__ = [
    "add",
    "average",
    "concat",
    "convolution",
    "depth_to_space",
    "dequantize",
    "function",
    "gemm",
    "matmul",
    "max_pool",
    "move",
    "multiply",
    "quantize",
    "reshape",
    "resize",
    "split",
    "transposed_convolution",
]
