"""The verifier finds what is broken and says where."""

import numpy as np
import onnx.parser
import pytest

from galen.ir import GalenError, Model
from galen.ir.edit import Names, own_initializer, set_initializer
from galen.ir.io import from_proto, load
from galen.ir.shapes import infer
from galen.ir.verify import blamed, verify


def parsed(graph: str) -> Model:
    return from_proto(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17, "my" : 1]> {graph}'))


def test_a_sound_model_passes() -> None:
    verify(parsed("g (float[N,2] x) => (float[N,2] y) { y = Relu(x) }"))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("g (float[2] x) => (float[2] y) { y = Add(a, x) }", "node Add: reads a, which nothing computes"),
        ("g (float[2] x) => (float[2] y) { y = Add(a, x) a = Neg(b) b = Neg(a) }", "the graph has a cycle"),
        ("g (float[2] x) => (float[2] y) { z = Relu(x) }", "output y: no node computes"),
        ("g (float[2] x) => (float[2] y, float[2] y) { y = Relu(x) }", "2 outputs have this name"),
        ("g (float[2] x) => (float[2] y) { [n] a = Relu(x) [n] y = Neg(a) }", "n: 2 nodes have this name"),
        ("g (float[2] x) => (float[3] y) { y = Relu(x) }", "do not fit"),
        ("g (float[2] x) => (int64[2] y) { y = Relu(x) }", "do not fit"),
        ("g (float[2] x) => (float[2] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }", "do not fit"),
        ("g (float[2] x) => (float[2] y) { y = Relu(x, x) }", "2 inputs are too many for Relu"),
        ("g (float[2] x) => (float[2] y) { y = Foo(x) }", "onnxruntime cannot load"),
        ("g (float[2] x) => (float[2] y) { y = Relu<foo = 2>(x) }", "onnxruntime cannot load"),
        (
            "g (bool c, float[2] x) => (float[2] y) "
            "{ y = If(c) <then_branch = a () => (float[2] z) { z = Relu(q) },"
            " else_branch = b () => (float[2] z) { z = Neg(x) }> }",
            "reads q, which nothing computes",
        ),
    ],
)
def test_faults_are_found_and_named(graph: str, message: str) -> None:
    with pytest.raises(GalenError, match=message) as caught:
        verify(parsed(graph))
    assert "\n" not in str(caught.value)


def test_a_custom_operator_is_checked_but_cannot_be_run() -> None:
    verify(parsed("g (float[2] x) => (float[2] y) { y = my.Thing(x) }"))
    with pytest.raises(GalenError, match="reads a"):
        verify(parsed("g (float[2] x) => (float[2] y) { y = my.Thing(a) }"))


SHARED = """g (float[1,2,4,4] x) => (float[1,2,4,4] y)
<float[2,2,1,1] w = {1, 2, 3, 4}, float[2,2,1,1] v = {1, 2, 3, 4}, float[2] b = {1, 1}> {
    [first] h = Conv(x, w, b)
    [second] y = Conv(h, v, b)
}"""


def test_a_shared_initializer_cut_for_one_user_only_is_found() -> None:
    """The failure of peers: the checker passes, the runtime does not."""
    model = parsed(SHARED)
    verify(model)
    set_initializer(model.graph.node(0).inputs[2], np.ones(1, np.float32))
    with pytest.raises(GalenError):
        verify(model)


def test_an_own_initializer_is_nobody_elses() -> None:
    model = parsed(SHARED)
    own = own_initializer(model.graph.node(0), 2, Names(model))
    assert own.name == "b_1"
    assert model.graph.node(1).inputs[2].name == "b"
    assert own_initializer(model.graph.node(0), 2, Names(model)) is own
    verify(model)


def test_a_branch_with_large_weights_of_its_own_passes() -> None:
    model = parsed("""g (bool c, float[1,64] x) => (float[1,64] y) {
        y = If(c) <then_branch = a () => (float[1,64] z) <float[1,1] w = {1}> { z = MatMul(x, w) },
                   else_branch = b () => (float[1,64] z) { z = Neg(x) }> }""")
    branch = model.graph.node(0).attributes["then_branch"].as_graph()
    set_initializer(branch.initializers["w"], np.ones((64, 64), np.float32))
    verify(model)
    infer(model)


def test_real_networks_are_sound(models_dir) -> None:
    verify(load(models_dir / "cct_cifar10.onnx"))
    verify(load(models_dir / "ppocr_cls_mbv3se.onnx"), {"x": (1, 3, 48, 192)})


def test_an_unforeseen_failure_is_blamed_on_a_faulty_model() -> None:
    broken = parsed("g (string[1,1,4,4] x, float[2,1,3,3] w) => (float[1,2,2,2] y) { [c] y = Conv(x, w) }")
    with pytest.raises(GalenError, match=r"types or shapes do not fit: .*node name: c"), blamed(broken):
        raise KeyError("x")


def test_an_unforeseen_failure_on_a_sound_model_stays_what_it_is() -> None:
    with pytest.raises(KeyError, match="x"), blamed(parsed("g (float[2] x) => (float[2] y) { y = Relu(x) }")):
        raise KeyError("x")
