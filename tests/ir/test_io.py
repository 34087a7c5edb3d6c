"""Loading and saving: nothing is lost, nothing partial is left, every bad input is one clear error."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from galen.ir import GalenError
from galen.ir.edit import const_value, set_initializer
from galen.ir.execute import run
from galen.ir.io import from_proto, load, save, to_proto
from galen.ir.large import tensors
from galen.ir.tensors import StoredTensor
from galen.passes.simplify import Simplify


def model_of(weight: np.ndarray, **tensor: object) -> onnx.ModelProto:
    """x + weight, the weight as an initializer."""
    proto = numpy_helper.from_array(weight, "w")
    elem = helper.np_dtype_to_tensor_dtype(weight.dtype)
    x = helper.make_tensor_value_info("x", elem, weight.shape)
    y = helper.make_tensor_value_info("y", elem, weight.shape)
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [proto])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def without_value_info(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The IR adds the types of initializers, which say nothing new."""
    del proto.graph.value_info[:]
    return proto


LARGE = np.arange(5000, dtype=np.float32)


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of(LARGE).SerializeToString())
    return path


def test_large_weights_stay_in_the_file_until_they_are_read(model_path: Path) -> None:
    tensor = load(model_path).graph.initializers["w"].const_value
    assert isinstance(tensor, StoredTensor)
    np.testing.assert_array_equal(tensor.numpy(), LARGE)


def test_what_is_saved_is_what_was_loaded(model_path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    save(load(model_path), copy)
    assert without_value_info(onnx.load(copy)) == onnx.load(model_path)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.int64, np.float64, np.bool_])
def test_every_type_survives(dtype: type, tmp_path: Path) -> None:
    weight = (np.arange(6000) % 2).astype(dtype)
    path = tmp_path / "model.onnx"
    save(from_proto(model_of(weight)), path)
    np.testing.assert_array_equal(const_value(load(path).graph.initializers["w"]), weight)


def test_packed_four_bit_weights_survive(tmp_path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.INT4, [10000], [i % 16 - 8 for i in range(10000)])
    proto = model_of(LARGE)
    proto.graph.initializer[0].CopyFrom(weight)
    path = tmp_path / "model.onnx"
    save(load(proto.SerializeToString()), path)
    stored = const_value(load(path).graph.initializers["w"])
    assert stored is not None
    np.testing.assert_array_equal(stored.astype(np.int8), numpy_helper.to_array(weight).astype(np.int8))


def test_output_may_be_the_input(model_path: Path) -> None:
    model = load(model_path)
    set_initializer(model.graph.initializers["w"], LARGE + 1)
    save(model, model_path)
    np.testing.assert_array_equal(const_value(load(model_path).graph.initializers["w"]), LARGE + 1)


def test_weights_outlive_their_file(model_path: Path) -> None:
    model = load(model_path)
    model_path.unlink()
    np.testing.assert_array_equal(const_value(model.graph.initializers["w"]), LARGE)


def test_external_data_stays_external(tmp_path: Path) -> None:
    path, copy = tmp_path / "model.onnx", tmp_path / "copy.onnx"
    save(from_proto(model_of(LARGE)), path, external=True)
    assert path.stat().st_size < 1000
    assert (tmp_path / "model.onnx.data").stat().st_size == LARGE.nbytes
    save(load(path), copy)
    assert (tmp_path / "copy.onnx.data").exists()
    np.testing.assert_array_equal(numpy_helper.to_array(onnx.load(copy).graph.initializer[0]), LARGE)


def test_over_the_limit_of_one_file_the_weights_go_beside_it(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galen.ir.io.PROTOBUF_LIMIT", 1000)
    copy = tmp_path / "copy.onnx"
    save(load(model_path), copy)
    assert (tmp_path / "copy.onnx.data").stat().st_size == LARGE.nbytes
    with pytest.raises(GalenError, match="over 2 GB, which no single stream can hold"):
        save(load(model_path), io.BytesIO())
    with pytest.raises(GalenError, match="over 2 GB, more than a ModelProto can hold"):
        to_proto(load(model_path))


def test_to_proto_holds_the_weights(model_path: Path) -> None:
    assert without_value_info(to_proto(load(model_path))) == onnx.load(model_path)


def test_negative_dimensions_are_unknown() -> None:
    proto = model_of(LARGE)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    shape = from_proto(proto).graph.inputs[0].shape
    assert shape is not None
    assert not shape.is_static()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"hello, this is no model", "not an ONNX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not an ONNX"),
        (bytes(100), "not an ONNX"),
        (model_of(LARGE).SerializeToString()[:-10], "not an ONNX file, or a truncated one"),
        (model_of(LARGE).SerializeToString()[:300], "not an ONNX file, or a truncated one"),
    ],
)
def test_bad_files_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(GalenError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(GalenError, match=r"none\.onnx: no such file"):
        load(tmp_path / "none.onnx")
    with pytest.raises(GalenError, match="is a directory"):
        load(tmp_path)
    with pytest.raises(GalenError, match="is a directory"):
        save(from_proto(model_of(LARGE)), tmp_path)


def test_missing_and_short_external_data_is_named(tmp_path: Path) -> None:
    path, data = tmp_path / "model.onnx", tmp_path / "model.onnx.data"
    save(from_proto(model_of(LARGE)), path, external=True)
    data.write_bytes(b"short")
    with pytest.raises(GalenError, match="beyond the end of its file"):
        load(path)
    data.unlink()
    with pytest.raises(GalenError, match=r"model\.onnx\.data: no such file"):
        load(path)


def test_external_data_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(LARGE.tobytes())
    folder = tmp_path / "models"
    folder.mkdir()
    proto = model_of(LARGE)
    onnx.external_data_helper.set_external_data(proto.graph.initializer[0], "../secret", 0, LARGE.nbytes)
    proto.graph.initializer[0].ClearField("raw_data")
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(GalenError, match="outside"):
        load(folder / "model.onnx")


_SAVE_WITH_LITTLE_SPACE = """
import resource, signal, sys
from galen.ir import GalenError
from galen.ir.io import load, save
model = load(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    save(model, sys.argv[2])
except GalenError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_file_and_nothing_else(model_path: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "model.onnx"
    target.parent.mkdir()
    target.write_bytes(b"old")
    command = [sys.executable, "-c", _SAVE_WITH_LITTLE_SPACE, str(model_path), str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written: File too large" in result.stdout
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == ["model.onnx"]


def in_a_constant_node(weight: np.ndarray) -> onnx.ModelProto:
    """x + weight, the weight in a Constant node."""
    proto = model_of(weight)
    constant = helper.make_node("Constant", [], ["w"], value=proto.graph.initializer.pop())
    proto.graph.node.insert(0, constant)
    return proto


def in_a_function(weight: np.ndarray) -> onnx.ModelProto:
    """x + weight in a function, the weight in a Constant node."""
    proto = in_a_constant_node(weight)
    body = helper.make_function("f", "AddW", ["x"], ["y"], list(proto.graph.node), proto.opset_import)
    del proto.graph.node[:]
    proto.graph.node.append(helper.make_node("AddW", ["x"], ["y"], domain="f"))
    proto.functions.append(body)
    proto.opset_import.append(helper.make_opsetid("f", 1))
    return proto


@pytest.mark.parametrize("build", [in_a_constant_node, in_a_function])
@pytest.mark.parametrize("external", [False, True])
def test_constant_nodes_are_as_lazy_as_initializers(
    build: Callable[[np.ndarray], onnx.ModelProto], external: bool, tmp_path: Path
) -> None:
    path, copy = tmp_path / "model.onnx", tmp_path / "copy.onnx"
    path.write_bytes(build(LARGE).SerializeToString())
    model = load(path)
    assert [type(tensor) for tensor in tensors(model)] == [StoredTensor]
    save(model, copy, external=external)
    assert (copy.stat().st_size < 1000) == external
    (kept,) = tensors(load(copy))
    np.testing.assert_array_equal(kept.numpy(), LARGE)
    onnx.checker.check_model(str(copy))


def test_what_has_no_form_in_a_file_is_refused_in_one_line() -> None:
    proto = model_of(LARGE)
    proto.graph.node[0].attribute.add()
    with pytest.raises(GalenError, match="malformed model: Unsupported attribute type: UNDEFINED"):
        to_proto(from_proto(proto))


def test_nodes_in_another_order_are_sorted() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[2] x, bool c) => (float[2] y) {
        y = If(c) <then_branch = t () => (float[2] p) { p = Neg(a) }, else_branch = e () => (float[2] q) { q = Abs(a) }>
        a = Exp(b)
        b = Relu(x)
    }"""
    model = from_proto(onnx.parser.parse_model(text))
    assert [node.op_type for node in model.graph] == ["Relu", "Exp", "If"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ("y = Add(x, k)", "model: node Add: reads k, which nothing computes"),
        ("a = Relu(x)", "model: output y: no node computes this output"),
        ("y = Add(x, a) a = Neg(y)", "model: g: the graph has a cycle"),
    ],
)
def test_what_is_no_graph_is_refused(nodes: str, message: str) -> None:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) {{ {nodes} }}'
    with pytest.raises(GalenError, match=message):
        from_proto(onnx.parser.parse_model(text))


def sparse_model(places: np.ndarray, *, node: bool) -> onnx.ModelProto:
    """x times [[1, 0, 0], [0, 0, 2]], which is given by its two numbers."""
    values = numpy_helper.from_array(np.float32([1, 2]), "w")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(places, "places"), [2, 3])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size]) for name, size in (("x", 2), ("y", 3)))
    nodes = [helper.make_node("Constant", [], ["w"], sparse_value=sparse)] if node else []
    graph = helper.make_graph([*nodes, helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y])
    if not node:
        graph.sparse_initializer.append(sparse)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("node", [True, False])
@pytest.mark.parametrize("places", [np.array([0, 5]), np.array([[0, 0], [1, 2]])])
def test_sparse_constants_become_dense(places: np.ndarray, node: bool) -> None:
    (dense,) = tensors(from_proto(sparse_model(places, node=node)))
    np.testing.assert_array_equal(dense.numpy(), [[1, 0, 0], [0, 0, 2]])


def test_functions_of_another_opset_are_refused_where_they_are_inlined() -> None:
    proto = in_a_function(LARGE)
    proto.functions[0].opset_import[0].version = 13
    with pytest.raises(GalenError, match="functions cannot be inlined: Opset mismatch"):
        Simplify().apply(from_proto(proto))


def test_sparse_constants_out_of_place_are_refused() -> None:
    with pytest.raises(GalenError, match="sparse tensor w: its indices do not fit"):
        from_proto(sparse_model(np.array([0, 6]), node=False))


def test_classifiers_may_return_maps(tmp_path: Path) -> None:
    """What scikit-learn's exporter writes by default, and the IR has no type for."""
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    x, p = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xp")
    nodes = [
        helper.make_node("Normalizer", ["x"], ["p"], domain="ai.onnx.ml", norm="L1"),
        helper.make_node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[3, 4]),
    ]
    graph = helper.make_graph(nodes, "g", [x], [p, helper.make_value_info("z", kind)])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    model = from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    Simplify().apply(model)
    save(model, tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx").graph.output[1].type == kind
    (row,) = run(load(tmp_path / "model.onnx"), {"x": np.float32([[1, 3]])})["z"]
    assert row == {3: 0.25, 4: 0.75}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_type": TensorProto.UNDEFINED}, "tensor w: has no type"),
        ({"data_type": TensorProto.UINT4}, "tensor w: is damaged: Unsupported dtype UINT4 for float_data"),
        ({"dims": [3]}, "tensor w: is damaged: cannot reshape"),
        ({"dims": [-1, -1]}, "tensor w: is damaged: can only specify one unknown dimension"),
        ({"dims": [2**40]}, "tensor w: is damaged: cannot reshape"),
    ],
)
def test_tensors_that_contradict_themselves_are_refused(change: dict[str, object], message: str) -> None:
    proto = model_of(LARGE)
    proto.graph.initializer[0].CopyFrom(TensorProto(**{"name": "w", "data_type": 1, "dims": [2]} | change))
    proto.graph.initializer[0].float_data.extend([1, 2])
    with pytest.raises(GalenError, match=message):
        from_proto(proto)


def test_a_constant_of_a_type_that_there_is_not_is_refused() -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> g () => (y) { y = Constant<value = float[1] {1}>() }"""
    )
    proto.graph.node[0].attribute[0].t.data_type = 65
    with pytest.raises(GalenError, match="is damaged: 65 is not a valid DataType"):
        from_proto(proto)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("[n] y = Add(x)", "node n: 1 inputs are too few for Add of opset 17"),
        ("[n] y = Relu(x, x)", "node n: 2 inputs are too many for Relu of opset 17"),
        ("[n] y, z = Relu(x)", "node n: 2 outputs are too many for Relu of opset 17"),
        ("[n] y = Concat(x, x)", "node n: attribute axis of Concat is missing"),
        ("[n] y = Concat<axis = [1]>(x, x)", "node n: attribute axis is INTS, expected INT"),
    ],
)
def test_nodes_that_no_operator_describes_are_refused(node: str, message: str) -> None:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[N] y) {{ {node} }}'
    with pytest.raises(GalenError, match=message):
        from_proto(onnx.parser.parse_model(text))


@pytest.mark.parametrize("version", [0, 2**31])
def test_operator_sets_that_cannot_be_are_refused(version: int) -> None:
    proto = model_of(LARGE)
    proto.opset_import[0].version = version
    with pytest.raises(GalenError, match=f"opset_import: there is no version {version} of the standard operators"):
        from_proto(proto)


def test_an_input_that_must_not_be_left_out_is_missed() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { [n] y = Pow(x, x) }'
    proto = onnx.parser.parse_model(text)
    proto.graph.node[0].input[0] = ""
    with pytest.raises(GalenError, match="node n: input 0 of Pow is left out"):
        from_proto(proto)


def test_a_name_that_is_no_text_is_refused() -> None:
    data = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Relu(x) }'
    ).SerializeToString()
    with pytest.raises(GalenError, match="a name is not UTF-8"):
        load(data.replace(b"Relu", b"Rel\xff"))
