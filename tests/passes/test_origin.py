"""A policy fits the model that it was made for, and what was rewritten from that; every other model is refused."""

import json
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from galen.ir import GalenError, Model
from galen.ir.digest import digest
from galen.ir.io import from_proto, load, save
from galen.opt import main
from galen.passes.origin import ORIGIN
from galen.passes.pipeline import Pipeline
from galen.passes.policy import INT8, Keep, Policy

RAW = """<ir_version: 8, opset_import: ["" : 17, "f" : 1]>
g (float[N,1,6,6] x) => (float[N,2] y)
<float[4] gain = {2, 3, 4, 5}, float[4] shift = {1, 1, 2, 2}, float[4] mean = {0, 1, 0, 1},
 float[4] var = {1, 2, 3, 4}> {
   w = Constant<value = float[4,1,3,3] {1,2,3,4,5,6,7,8,9,2,3,4,5,6,7,8,9,1,3,4,5,6,7,8,9,1,2,4,5,6,7,8,9,1,2,3}>()
   c = Conv(x, w)
   b = BatchNormalization(c, gain, shift, mean, var)
   r = f.Act(b)
   p = GlobalAveragePool(r)
   s = Shape<start = 0, end = 1>(p)
   four = Constant<value = int64[1] {4}>()
   t = Concat<axis = 0>(s, four)
   q = Reshape(p, t)
   v = Constant<value = float[4,2] {1,2,3,4,5,6,7,8}>()
   y = MatMul(q, v)
}
<domain: "f", opset_import: ["" : 17]> Act (a) => (o) { i = Identity(a) o = Relu(i) }"""

PLAIN = "simplify,fold-batchnorm"


@pytest.fixture
def raw() -> Model:
    return from_proto(onnx.parser.parse_model(RAW))


def policy_for(model: Model) -> Policy:
    """Return what a search decides on the plain form of `model`."""
    return Policy(groups={"Conv": Keep(2, 4)}, layers={"Conv": INT8, "MatMul": INT8}, digest=digest(plain(model)))


def plain(model: Model) -> Model:
    copy = model.clone()
    Pipeline.parse(PLAIN).apply(copy)
    return copy


def test_a_policy_made_on_a_raw_file_applies_to_that_file_through_the_contracts_pipeline(
    raw: Model, tmp_path: Path
) -> None:
    model, policy, out = tmp_path / "raw.onnx", tmp_path / "policy.json", tmp_path / "out.onnx"
    save(raw, model)
    policy.write_text(str(policy_for(raw)))
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).standard_normal((8, 1, 6, 6), np.float32))
    text = f"{PLAIN},prune{{policy=@{policy}}},quantize{{policy=@{policy}}}"
    assert main([str(model), "-p", text, "-o", str(out), "--train-data", str(tmp_path / "d.npz")]) == 0
    assert load(out).metadata_props[ORIGIN] == json.loads(policy.read_text())["digest"]


def test_the_plain_form_is_plain_already(raw: Model) -> None:
    assert digest(plain(plain(raw))) == digest(plain(raw))


def test_a_rewritten_raw_model_names_the_plain_form(raw: Model) -> None:
    expected = digest(plain(raw))
    Pipeline.parse("sparsify").apply(raw)
    assert raw.metadata_props[ORIGIN] == expected


def test_a_policy_made_on_a_rewritten_model_fits_it(raw: Model) -> None:
    smaller = plain(raw)
    Pipeline.parse("prune{sparsity=0.25}").apply(smaller)
    policy = Policy(groups={"Conv": Keep(1, 3)}, layers={"MatMul": INT8}, digest=digest(smaller))
    text = f"prune{{policy={policy}}},quantize{{policy={policy} calibration=random}}"
    Pipeline.parse(text).apply(smaller)
    assert smaller.metadata_props[ORIGIN] == policy.digest


@pytest.mark.parametrize("each", ["prune", "quantize"])
def test_a_foreign_model_and_the_raw_one_are_refused(raw: Model, each: str) -> None:
    policy = policy_for(raw)
    foreign = plain(from_proto(onnx.parser.parse_model(RAW.replace("6,6", "8,8"))))
    for model in (foreign, raw):
        with pytest.raises(GalenError, match=r"the policy is for model .*apply simplify,fold-batchnorm first"):
            Pipeline.parse(f"{each}{{policy={policy}}}").apply(model)
        assert ORIGIN not in model.metadata_props
