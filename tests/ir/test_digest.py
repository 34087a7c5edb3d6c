"""The digest tells structures apart and weights not."""

import numpy as np
import onnx.parser
import pytest

from galen.ir import Model
from galen.ir.digest import digest
from galen.ir.edit import set_initializer
from galen.ir.io import from_proto, load, to_proto

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,1,4,4] x) => (float[N,2] y)
<float[2,1,3,3] w = {%s}, int64[2] shape = {-1, 8}, float[2,8] v = {%s}> {
   [conv] c = Conv<pads = [0, 0, 0, 0]>(x, w)
   r = Reshape(c, shape)
   [fc] y = Gemm<transB = 1>(r, v)
}"""


def parsed(text: str = TEXT, weight: float = 1.0) -> Model:
    numbers = (",".join([str(weight)] * 18), ",".join([str(weight)] * 16))
    return from_proto(onnx.parser.parse_model(text % numbers))


def test_weights_do_not_count() -> None:
    assert digest(parsed(weight=1.0)) == digest(parsed(weight=2.0))


def test_it_survives_saving_cloning_and_new_tensor_names() -> None:
    model = parsed()
    before = digest(model)
    assert digest(load(to_proto(model).SerializeToString())) == before
    assert digest(model.clone()) == before
    model.graph.initializers["w"].name = "renamed"
    set_initializer(model.graph.initializers["v"], np.zeros((2, 8), np.float32))
    assert digest(model) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pads = [0, 0, 0, 0]", "pads = [1, 1, 1, 1]"),
        ("{-1, 8}", "{-1, 4}"),
        ("[conv]", "[other]"),
        ("float[N,1,4,4] x", "float[N,1,4,4] z"),
        ("float[N,1,4,4]", "float[N,1,4,5]"),
        ("Gemm<transB = 1>", "Gemm<transB = 1, alpha = 0.5>"),
        ('"" : 17', '"" : 16'),
        ("r = Reshape(c, shape)", "c2 = Relu(c) r = Reshape(c2, shape)"),
    ],
)
def test_structure_counts(old: str, new: str) -> None:
    changed = TEXT.replace(old, new).replace("(x, w)", "(z, w)" if " z" in new else "(x, w)")
    assert changed != TEXT
    assert digest(parsed(changed)) != digest(parsed())
