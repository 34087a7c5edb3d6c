"""The text of a model: complete, without weights, the same every time."""

import onnx.parser

from galen.ir.io import from_proto, load
from galen.ir.show import show

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,2] x) => (float[N,2] y)
<float[2,2] w = {1, 2, 3, 4}, float[2,5] "big weight" = {0,1,2,3,4,5,6,7,8,9}, int64[1] i = {7}> {
   [first] h = MatMul(x, w)
   c = Constant<value = float[9] {1,2,3,4,5,6,7,8,9}>()
   [last] y = Add(h, x)
}"""

EXPECTED = """<
   ir_version: 8,
   opset_import: ["" : 17]
>
g (float[N,2] x) => (float[N,2] y)
<
   float[2,2] w = {1.0, 2.0, 3.0, 4.0},
   float[2,5] "big weight" = {…},
   int64[1] i = {7}
>
{
   [first] h = MatMul (x, w)
   c = Constant <value: tensor = float[9] {}> ()
   [last] y = Add (h, x)
}"""


def test_large_constants_are_elided() -> None:
    model = from_proto(onnx.parser.parse_model(TEXT))
    assert show(model) == EXPECTED
    assert show(model) == EXPECTED, "showing leaves the model as it is"


def test_text_without_large_constants_is_onnx_text() -> None:
    small = EXPECTED.replace('   float[2,5] "big weight" = {…},\n', "").replace(
        "   c = Constant <value: tensor = float[9] {}> ()\n", ""
    )
    assert show(from_proto(onnx.parser.parse_model(small))) == small


def test_a_network_is_a_page_not_its_weights(models_dir) -> None:
    model = load(models_dir / "resnet20_cifar10.onnx")
    text = show(model)
    assert len(text) < 30_000
    assert text == show(model.clone())
