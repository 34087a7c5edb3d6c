"""The plain form is what `simplify,fold-batchnorm` makes, also where that is seen without making it."""

from pathlib import Path

import families
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_text import model as parsed
from random_networks import network

from galen.ir import Model
from galen.ir.digest import digest
from galen.ir.io import from_proto, load
from galen.ir.shapes import infer
from galen.ir.show import show
from galen.passes.pipeline import Pipeline
from galen.passes.plain import is_plain, plain

GENES = st.tuples(*[st.integers(0, 47)] * 3)


def made_plain(model: Model) -> Model:
    copy = model.clone()
    Pipeline.parse("simplify,fold-batchnorm").apply(copy)
    return copy


def looks_plain(model: Model) -> bool:
    infer(model)
    return is_plain(model)


CONV = "[c] y = Conv(x, w)"
"""A layer that nothing can be taken from."""

REDUCIBLE = {
    "a constant that is a node": "[k] k = Constant<value_floats = [1.0, 2.0]>() [c] z = Conv(x, w) [m] y = Mul(z, k)",
    "what hands its input on": "[i] z = Identity(x) [c] y = Conv(z, w)",
    "what nothing reads": "[d] z = Relu(x) [c] y = Conv(x, w)",
    "an output that nothing reads": "[c] z = Conv(x, w) [p] y, i = MaxPool<kernel_shape = [1, 1], strides = [2, 2]>(z)",
    "what depends on constants only": "[n] v = Neg(w) [c] y = Conv(x, v)",
    "a length that is known": "[c] z = Conv(x, w) [s] s = Shape(z) [r] y = Reshape(z, s)",
    "one name for two nodes": "[c] z = Conv(x, w) [c] y = Relu(z)",
    "an input that is left out at the end": "[c] z = Conv(x, w) [l] y = Clip(z, , )",
}


@pytest.mark.parametrize("nodes", REDUCIBLE.values(), ids=REDUCIBLE.keys())
def test_what_could_be_simplified_does_not_look_plain(nodes: str) -> None:
    model = parsed(f"g (float[1,2,4,4] x) => (float[] y) {{ {nodes} }}", w=np.ones((2, 2, 1, 1), np.float32))
    assert not looks_plain(model)
    assert show(plain(model)) == show(made_plain(model))


def test_a_layer_alone_is_plain_and_is_not_copied() -> None:
    model = parsed(f"g (float[1,2,4,4] x) => (float[] y) {{ {CONV} }}", w=np.ones((2, 2, 1, 1), np.float32))
    assert looks_plain(model)
    assert plain(model) is model


def test_a_layer_without_a_name_does_not_look_plain() -> None:
    model = parsed(f"g (float[1,2,4,4] x) => (float[] y) {{ {CONV} }}", w=np.ones((2, 2, 1, 1), np.float32))
    model.graph.node(0).name = None
    assert not looks_plain(model)


def test_a_constant_that_nothing_reads_and_one_that_may_be_fed_do_not_look_plain() -> None:
    unread = np.ones((2, 2, 1, 1), np.float32)
    assert not looks_plain(parsed(f"g (float[1,2,4,4] x) => (float[] y) {{ {CONV} }}", w=unread, u=unread))
    text = f"g (float[1,2,4,4] x, float[2,2,1,1] w) => (float[] y) {{ {CONV} }}"
    assert not looks_plain(parsed(text, w=unread))


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=st.lists(GENES, min_size=1, max_size=12), seed=st.integers(0, 99))
def test_what_looks_plain_is(program: list[tuple[int, int, int]], seed: int) -> None:
    model = from_proto(network(program, seed))
    for each in (model, made_plain(model)):
        if looks_plain(each):
            assert show(made_plain(each)) == show(each)
    assert digest(plain(model)) == digest(made_plain(model))


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3", "densenet", "yolo", "vit", "convnext"])
def test_exported_networks_look_plain_once_they_are(name: str) -> None:
    model = load(families.export(name))
    assert looks_plain(made_plain(model))
    assert digest(plain(model)) == digest(made_plain(model))


def test_real_networks(models_dir: Path) -> None:
    for path in sorted(models_dir.glob("*.onnx")):
        model = load(path)
        assert digest(plain(model)) == digest(made_plain(model)), path.name
