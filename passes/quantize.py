"""Static quantization as QuantizeLinear/DequantizeLinear pairs ("QDQ") around the operators, which stay in the graph.

The form, which lowering matches and onnxruntime fuses (`session.qdqisint8allowed`) into integer operators:

*Activations* are int8, per tensor, asymmetric; the range always holds 0, so 0.0 is exactly the zero point. One tensor
`t` is quantized once and every consumer reads the dequantized value (names: `t_q`, `t_dq`, `t_scale`, `t_zero`)::

    t -> QuantizeLinear(t_scale, t_zero) -> [Clip(lo, hi) on int8] -> DequantizeLinear(t_scale, t_zero) -> consumers

For b < 8 bits the numbers are those of an INTb in an int8 container, -2^(b-1) .. 2^(b-1)-1: scale and zero point are
computed for that range and Clip (int8 scalars, output `t_c`) holds it. A tensor read at several widths is quantized at
the widest (8 where an operator without weights or the graph's output reads it); a narrower reader gets
`t_dq -> Q -> Clip -> DQ` of its own (`t_q4`, `t_c4`, `t_dq4`, `t_scale4`, `t_zero4`).

*Weights* are int8 initializers `w_q`, symmetric (zero point int8 zeros `w_zero`), per output channel
(`w_scale` float32 [channels], DequantizeLinear axis = the output channel's axis, after transposition of Gemm's B taken
into account) or per tensor (scalars). b bits: |q| <= 2^(b-1)-1; 1 bit: -1 and +1.

*Biases* are int32 initializers `b_q`, DequantizeLinear(axis 0, no zero point) with `b_scale = t_scale * w_scale` in
fp32. A MatMul followed by Add of a constant vector is one layer: that vector is such a bias.

*Which operators compute in integers* (all activation inputs dequantized, output quantized):

- layers (constant weights: Conv, ConvTranspose, Gemm, MatMul) whose policy says 1 to 8 bits;
- everything below as soon as all its activation inputs are quantized, always at 8 bits:
  arithmetic with requantization (Add, Mul, Sub of two activations; AveragePool, GlobalAveragePool, ReduceMean, Concat);
  one activation in, elementwise, optionally with a constant scalar (Sigmoid, HardSigmoid, HardSwish, Tanh, LeakyRelu,
  Clip, Relu, Mul, Add, ...): a table of 256 entries computes them exactly;
  movement (MaxPool, Slice, Pad with 0, Reshape, Flatten, Transpose, Squeeze, Unsqueeze, Split, Gather, DepthToSpace,
  nearest Resize, ...): the output has the *same* scale and zero point as the input, so the integers are only moved.

*Fused activations*: Relu or Clip that alone reads the output of a layer, Add or another arithmetic operator has no pair
before it: `Conv -> Relu -> Q`. After Relu the zero point is the lowest integer, so that saturation is the Relu.

Everything else stays float between DequantizeLinear and (when a layer reads it) QuantizeLinear. First and last layer
are treated like all others, the graph's outputs become those of a DequantizeLinear and keep name and type.
"""
