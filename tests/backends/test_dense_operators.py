"""Operators on dense tensors and on volumes are lowered to Galen's own kernels, and equal onnxruntime."""

import numpy as np
import pytest
from onnx_text import model

from galen.backends.execution import run_on_core
from galen.backends.kernels.fallback import Fallback
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir.execute import random_inputs, run

GRAPHS = {
    "axes that are no neighbours": "(float[2,3,4,5] x) <int64[2] a = {1, 3}> { y = ReduceMean(x, a) }",
    "an axis that goes away": "(float[2,3,7] x) <int64[1] a = {1}> { y = ReduceLogSumExp<keepdims=0>(x, a) }",
    "nothing to reduce": """(float[2,3] x) <int64[1] a = {1}, int64[1] start = {3}, int64[1] end = {9}> {
        none = Slice(x, start, end, a)
        empty = ReduceLogSumExp(none, a)
        y = Max(x, empty) }""",
    "a comparison that decides": """(float[2,3,4] x) <float[4] z, float s = {0.5}> {
        larger = Greater(x, z)
        y = Where(larger, x, s) }""",
    "broadcasting that no image has": "(float[1,3,4,2] x) <float[3,1,1] z> { y = Mul(x, z) }",
    "the class of every pixel": """(float[1,5,6,7] x) <float[5,5,1,1] w> {
        scores = Conv(x, w)
        classes = ArgMax<axis=1>(scores)
        y = Cast<to=1>(classes) }""",
    "a softmax of channels": "(float[1,5,6,7] x) <float[5,5,1,1] w> { s = Conv(x, w) y = Softmax<axis=1>(s) }",
    "a logarithm of a softmax": "(float[2,5,6] x) { y = LogSoftmax<axis=1>(x) }",
    "a running sum": "(float[2,5,6] x) <int64 a = {1}> { y = CumSum<reverse=1>(x, a) }",
    "reflected pixels": """(float[1,3,6,7] x) <int64[8] p = {0,0,2,1,0,0,1,2}> {
        y = Pad<mode="reflect">(x, p) }""",
    "padding with a number": "(float[2,6] x) <int64[4] p = {0,2,1,-1}, float v = {1.5}> { y = Pad(x, p, v) }",
    "groups": "(float[2,6,4,5] x) <float[6] s, float[6] b> { y = GroupNormalization<num_groups=2>(x, s, b) }",
    "instances, with what follows": """(float[2,5,4,3] x) <float[5] s, float[5] b> {
        normal = InstanceNormalization(x, s, b)
        y = Relu(normal) }""",
    "instances of volumes": "(float[2,5,3,4,3] x) <float[5] s, float[5] b> { y = InstanceNormalization(x, s, b) }",
    "a batch norm that follows no convolution": """(float[2,5,4,3] x)
        <float[5] s, float[5] b, float[5] m, float[5] v = {1.0, 2.0, 0.5, 1.5, 3.0}> {
        z = BatchNormalization(x, s, b, m, v)
        y = Relu(z) }""",
    "groups as torch writes them": """(float[2,6,4,5] x)
        <float[2] s, float[2] b, int64[3] groups = {0, 2, -1}, int64[4] back = {2, 6, 4, 5}> {
        grouped = Reshape(x, groups)
        normal = InstanceNormalization(grouped, s, b)
        y = Reshape(normal, back) }""",
    "a convolution of volumes": """(float[2,3,5,6,7] x) <float[4,3,3,3,3] w, float[4] b> {
        z = Conv<pads=[1,1,1,1,1,1], strides=[2,1,1]>(x, w, b)
        y = Relu(z) }""",
    "groups of volumes": "(float[1,4,5,6,7] x) <float[6,2,2,3,1] w> { y = Conv<group=2, dilations=[2,1,1]>(x, w) }",
    "a residual block of volumes": """(float[1,3,4,5,6] x) <float[3,3,3,3,3] w, float[1,3,1,1,1] s> {
        a = Conv<pads=[1,1,1,1,1,1]>(x, w)
        b = Mul(a, s)
        c = Conv<pads=[1,1,1,1,1,1]>(b, w)
        y = Add(c, x) }""",
    "the largest in volumes": """(float[1,3,5,6,7] x) {
        y = MaxPool<kernel_shape=[3,2,2], strides=[2,2,2], pads=[1,0,0,1,0,0]>(x) }""",
    "means in volumes": """(float[1,3,5,6,7] x) {
        y = AveragePool<kernel_shape=[3,3,2], pads=[1,1,0,1,1,0]>(x) }""",
}


@pytest.mark.parametrize("what", GRAPHS)
def test_an_operator_equals_onnxruntime(what: str) -> None:
    inputs, nodes = GRAPHS[what].split(")", 1)
    graph = model(f"net {inputs}) => (float[] y){nodes}")
    feeds = random_inputs(graph, np.random.default_rng(1))
    program = lower(graph, find("cortex-a72"))
    assert not [call.op for call in program.calls if isinstance(call.kernel, Fallback)]
    found = run_on_core(program, feeds)
    for name, right in run(graph, feeds).items():
        np.testing.assert_allclose(found[name], right, rtol=1e-4, atol=1e-5 * abs(right).max())
