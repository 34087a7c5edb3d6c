"""A pass takes a model in every form and returns the same form; the original stays as it is."""

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from torch import fx, nn

from galen.ir import GalenError, Model
from galen.ir.io import from_proto
from galen.ir.show import show
from galen.passes.pipeline import Pipeline

PIPELINE = Pipeline.parse("simplify,fold-batchnorm")
TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x) => (float[2] y) { a = Identity(x) y = Relu(a) }"""


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()


@pytest.fixture
def example() -> tuple[torch.Tensor]:
    return (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)


def test_a_model() -> None:
    model = from_proto(onnx.parser.parse_model(TEXT))
    before = show(model)
    rewritten = PIPELINE(model)
    assert isinstance(rewritten, Model)
    assert len(rewritten.graph) == 1
    assert show(model) == before


def test_a_proto() -> None:
    proto = onnx.parser.parse_model(TEXT)
    rewritten = PIPELINE(proto)
    assert isinstance(rewritten, onnx.ModelProto)
    assert [node.op_type for node in rewritten.graph.node] == ["Relu"]
    assert len(proto.graph.node) == 2


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path(kind: type, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    before = path.read_bytes()
    assert len(PIPELINE(kind(path)).graph) == 1
    assert path.read_bytes() == before


def test_a_module_and_its_graph_module(network: nn.Module, example: tuple[torch.Tensor]) -> None:
    folded = PIPELINE(network, example)
    assert isinstance(folded, fx.GraphModule)
    assert not any("batch_norm" in str(node.target) for node in folded.graph.nodes)
    assert any(parameter.requires_grad for parameter in folded.parameters())
    again = PIPELINE(folded, example)
    assert isinstance(again, fx.GraphModule)
    for module in (folded, again):
        torch.testing.assert_close(module(*example), network(*example), atol=1e-5, rtol=1e-5)


def test_an_exported_program_brings_its_own_example(network: nn.Module, example: tuple[torch.Tensor]) -> None:
    program = torch.export.export(network, example)
    folded = PIPELINE(program)
    assert isinstance(folded, torch.export.ExportedProgram)
    torch.testing.assert_close(folded.module()(*example), network(*example), atol=1e-5, rtol=1e-5)


def test_what_is_none_of_these_is_refused(network: nn.Module) -> None:
    with pytest.raises(GalenError, match="cannot apply pipeline to a ndarray"):
        PIPELINE(np.zeros(3))
    with pytest.raises(GalenError, match="a torch module needs example inputs"):
        PIPELINE(network)
