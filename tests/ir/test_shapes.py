"""Shapes: what is inferred, what may be pinned, what is refused."""

import onnx.parser
import pytest

from galen.ir import GalenError, Model, Shape, UsageError
from galen.ir.io import from_proto
from galen.ir.shapes import infer, infer_missing, input_shapes, parse_shape, pin, static_shape


def parsed(graph: str) -> Model:
    return from_proto(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {graph}'))


TWO = "g (float[N,L] a, float[N,L] b) => (float[N,L] y) { c = Add(a, b) y = Relu(c) }"


def test_shape_option_text() -> None:
    assert parse_shape("input:0=1x3x32x32") == ("input:0", (1, 3, 32, 32))
    assert parse_shape("a=b=7") == ("a=b", (7,))
    for text in ("1x3", "x=", "x=0x3", "x=1x-1", "=1x2", "x=axb"):
        with pytest.raises(UsageError, match="is not of the form NAME=1x3x32x32"):
            parse_shape(text)


def test_an_unset_batch_is_one_and_one_symbol_is_one_number() -> None:
    assert input_shapes(parsed(TWO), {"a": (4, 5)}) == {"a": (4, 5), "b": (4, 5)}
    single = parsed("g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }")
    assert input_shapes(single) == {"x": (1, 3)}


def test_another_unset_dimension_is_named() -> None:
    with pytest.raises(GalenError, match=r"input a: dimension 1 \(L\) is not set .*--shape a="):
        input_shapes(parsed(TWO))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"c": (1, 2)}, "no input 'c' .inputs: a, b"),
        ({"a": (1, 2, 3)}, r"1x2x3 does not fit the model's \[N,L\]"),
        ({"a": (1, 2), "b": (1, 3)}, r"1x3 does not fit"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(GalenError, match=message):
        input_shapes(parsed(TWO), shapes)


def test_pinning_makes_every_shape_a_number() -> None:
    model = parsed(TWO)
    assert pin(model, {"a": (2, 3)})
    assert [static_shape(value) for node in model.graph for value in node.outputs] == [(2, 3), (2, 3)]
    assert not pin(model)


@pytest.mark.parametrize("name", ["?", "-1", "unk__7"])
def test_sloppy_symbols_do_not_tie_dimensions(name: str) -> None:
    model = parsed(TWO)
    model.graph.inputs[0].shape = Shape([name, name])
    assert input_shapes(model, {"a": (2, 3), "b": (2, 3)})["a"] == (2, 3)


def test_inference_fills_in_and_never_forgets() -> None:
    model = parsed(
        "g (float[N,1,4,4] x) => (float[N,2,2,2] y) <float[2,1,3,3] w = {0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}>"
        "{ c = Conv(x, w) y = Relu(c) }"
    )
    assert infer(model)
    conv = model.graph.node(0).outputs[0]
    assert str(conv.shape) == "[N,2,2,2]"
    assert not infer(model)


def test_shapes_pass_through_functions_with_attributes() -> None:
    model = from_proto(
        onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17, "f" : 1]>
        g (float[2,3,4] x) => (y, z) { y = f.Turn <perm = [2, 0, 1]> (x)  z = f.Turn (x) }
        <domain: "f", opset_import: ["" : 17]>
        Turn <perm: ints = [1, 2, 0]> (a) => (b) { b = Transpose <perm: ints = @perm> (a) }""")
    )
    assert infer(model)
    assert [static_shape(value) for value in model.graph.outputs] == [(4, 2, 3), (3, 4, 2)]


def test_what_is_known_is_not_learnt_again_and_what_is_forgotten_is() -> None:
    model = parsed("g (float[N,3] x, float[3,5] w) => (y) { c = MatMul(x, w) y = Relu(c) }")
    assert infer(model)
    assert not infer(model)
    product = model.graph.node(0).outputs[0]
    product.shape = None
    assert infer(model)
    assert str(product.shape) == "[N,5]"


def test_small_numbers_reach_inference_and_weights_do_not() -> None:
    model = parsed("""g (float[1,2,4,4] x) => (y) <float[4] scales = {1, 1, 2, 3}, int64[4] target = {1, 2, 96, -1}>
        { r = Resize(x, , scales) y = Reshape(r, target) }""")
    assert infer(model)
    assert [static_shape(node.outputs[0]) for node in model.graph] == [(1, 2, 8, 12), (1, 2, 96, 1)]


def test_missing_shapes_are_inferred_and_written_ones_believed() -> None:
    written = parsed("g (float[1,2] x) => (float[1,7] y) { y = Relu(x) }")
    infer_missing(written)
    assert static_shape(written.graph.outputs[0]) == (1, 7)
    missing = parsed("g (float[1,2] x) => (y) { y = Relu(x) }")
    infer_missing(missing)
    assert static_shape(missing.graph.outputs[0]) == (1, 2)
