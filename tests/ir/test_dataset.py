import contextlib
import io
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from galen.ir import GalenError, Model
from galen.ir.dataset import open_dataset, random_dataset
from galen.ir.io import from_proto

INPUTS = {
    "NCHW": "float[1,3,4,5] x",
    "NHWC": "float[N,4,5,3] x",
    "half": "float16[N,3,4,5] x",
    "bytes": "uint8[N,4,5,3] x",
    "signed": "int8[N,4,5,3] x",
    "words": "int64[N,7] ids, float[N,2] mask",
}


def model(kind: str) -> Model:
    first = INPUTS[kind].split(",")[0].split()[-1] if kind == "words" else "x"
    name = "ids" if kind == "words" else first
    text = f'<ir_version: 8, opset_import: ["" : 17]> g ({INPUTS[kind]}) => (float[N,M] y) {{ y = Identity({name}) }}'
    return from_proto(onnx.parser.parse_model(text))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)


def write(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_images_are_scaled_normalised_and_transposed_to_the_input(tmp_path: Path, images: np.ndarray) -> None:
    mean, std = np.float32([0.1, 0.2, 0.3]), np.float32([0.5, 0.6, 0.7])
    spec = write(tmp_path / "d.npz", images=images, mean=mean, std=std, labels=np.arange(6))
    expected = (images / np.float32(255) - mean) / std
    for kind, axes in (("NCHW", (0, 3, 1, 2)), ("NHWC", (0, 1, 2, 3)), ("half", (0, 3, 1, 2))):
        data = open_dataset(spec, model(kind))
        (batch,) = data.batches(10)
        np.testing.assert_allclose(batch.inputs["x"], expected.transpose(axes), rtol=2e-3, atol=2e-3)
        assert batch.inputs["x"].dtype == (np.float16 if kind == "half" else np.float32)
        assert batch.labels is not None
        assert batch.labels.tolist() == [0, 1, 2, 3, 4, 5]


def test_raw_keeps_0_to_255(tmp_path: Path, images: np.ndarray) -> None:
    spec = write(tmp_path / "d.npz", images=images, raw=np.bool_(True))
    for kind in ("NHWC", "bytes"):
        np.testing.assert_array_equal(open_dataset(spec, model(kind)).at(np.arange(6)).inputs["x"], images)


def test_arrays_by_input_name_are_used_as_they_are(tmp_path: Path) -> None:
    ids, mask = np.arange(21).reshape(3, 7), np.ones((3, 2), np.float32)
    data = open_dataset(write(tmp_path / "d.npz", ids=ids, mask=mask), model("words"))
    batch = data.at(np.array([2, 0]))
    np.testing.assert_array_equal(batch.inputs["ids"], ids[[2, 0]])
    assert batch.labels is None


def test_batches_cover_all_samples_in_order_and_take_shortens(tmp_path: Path, images: np.ndarray) -> None:
    data = open_dataset(write(tmp_path / "d.npz", images=images, labels=np.arange(6)), model("NCHW"))
    labels = [batch.labels.tolist() for batch in data.batches(4) if batch.labels is not None]
    assert labels == [[0, 1, 2, 3], [4, 5]]
    assert len(data.take(2)) == 2
    assert len(data.take(99)) == 6


def test_stored_arrays_are_mapped_not_read(tmp_path: Path, images: np.ndarray) -> None:
    from galen.ir.data.archive import read_npz

    assert isinstance(read_npz(Path(write(tmp_path / "d.npz", images=images)))["images"], np.memmap)
    np.savez_compressed(tmp_path / "c.npz", images=images)
    np.testing.assert_array_equal(read_npz(tmp_path / "c.npz")["images"], images)


BAD = {
    "no array": ({"other": np.zeros(3)}, "NCHW", "no array for input 'x'.*it holds other"),
    "other size": ({"images": np.zeros((2, 9, 9, 3), np.uint8)}, "NCHW", "images: images of 9x9x3 do not fit.*'x'"),
    "floats as images": ({"images": np.zeros((2, 4, 5, 3))}, "NCHW", "images: expected uint8"),
    "objects": ({"x": np.array([{}, {}])}, "NCHW", "x: holds Python objects"),
    "type": ({"x": np.zeros((2, 3, 4, 5))}, "NCHW", "x: is float64, the model's input is float32"),
    "shape": ({"x": np.zeros((2, 3, 4), np.float32)}, "NCHW", "x: has shape 2x3x4, the model's input is Nx3x4x5"),
    "no samples": ({"x": np.zeros((0, 3, 4, 5), np.float32)}, "NCHW", "x: holds no samples"),
    "two lengths": ({"ids": np.zeros((3, 7), int), "mask": np.zeros((2, 2), np.float32)}, "words", "mask: 2 samples"),
    "fractions as integers": ({"images": np.zeros((2, 4, 5, 3), np.uint8)}, "bytes", "images / 255 are fractions"),
    "no room": (
        {"images": np.zeros((2, 4, 5, 3), np.uint8), "raw": np.bool_(1)},
        "signed",
        "does not fit.*int8",
    ),
    "zero std": ({"images": np.zeros((2, 4, 5, 3), np.uint8), "std": np.zeros(3)}, "NCHW", "std: is zero"),
    "odd mean": ({"images": np.zeros((2, 4, 5, 3), np.uint8), "mean": np.zeros(2)}, "NCHW", "mean: expected 1 or 3"),
    "label count": (
        {"x": np.zeros((2, 3, 4, 5), np.float32), "labels": np.zeros(3, int)},
        "NCHW",
        "labels: 3 labels for",
    ),
    "label type": (
        {"x": np.zeros((2, 3, 4, 5), np.float32), "labels": np.zeros(2)},
        "NCHW",
        "labels: expected int",
    ),
    "label sign": (
        {"x": np.zeros((2, 3, 4, 5), np.float32), "labels": np.array([0, -1])},
        "NCHW",
        "label -1 is negative",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_named_with_its_file(tmp_path: Path, case: str) -> None:
    arrays, kind, message = BAD[case]
    path = tmp_path / "d.npz"
    np.savez(path, allow_pickle=True, **arrays) if case == "objects" else np.savez(path, **arrays)
    with pytest.raises(GalenError, match=message) as caught:
        open_dataset(str(path), model(kind))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_that_claims_more_than_there_is_asks_for_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 3, 4, 5)})
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue() + b"1234")
    with pytest.raises(GalenError, match="does not match its 4 bytes"):
        open_dataset(str(tmp_path / "d.npz"), model("NCHW"))


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all" * 40])
def test_files_that_are_no_npz_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(GalenError, match=r"not an \.npz file"):
        open_dataset(str(tmp_path / "d.npz"), model("NCHW"))


def test_any_single_damaged_byte_is_read_or_refused(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "d.npz"
    np.savez_compressed(path, x=np.zeros((2, 3, 4, 5), np.float32), labels=np.array([0, 1]))
    whole = path.read_bytes()
    for position in rng.integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with contextlib.suppress(GalenError):  # anything else that is raised fails the test
            open_dataset(str(path), model("NCHW"))


def test_missing_data(tmp_path: Path) -> None:
    with pytest.raises(GalenError, match="no such file"):
        open_dataset(str(tmp_path / "none.npz"), model("NCHW"))


def test_a_function_yields_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_samples.py").write_text(
        "import numpy as np\n"
        "def good():\n    for i in range(5): yield np.full((3, 4, 5), i, 'float32'), i\n"
        "def named():\n    yield {'x': np.zeros((1, 3, 4, 5), 'float32')}, None\n"
        "def bad():\n    yield np.zeros((3, 4, 4), 'float32'), 0\n"
    )
    data = open_dataset("my_samples:good", model("NCHW"))
    batch = data.at(np.array([4, 1]))
    assert batch.inputs["x"][:, 0, 0, 0].tolist() == [4, 1]
    assert batch.labels is not None
    assert batch.labels.tolist() == [4, 1]
    assert open_dataset("my_samples:named", model("NCHW")).labels is None
    with pytest.raises(GalenError, match="my_samples:bad: sample 0: x: has shape"):
        open_dataset("my_samples:bad", model("NCHW"))
    with pytest.raises(GalenError, match="no function 'missing'"):
        open_dataset("my_samples:missing", model("NCHW"))


def test_a_folder_of_class_folders(tmp_path: Path, images: np.ndarray) -> None:
    from PIL import Image

    for index, image in enumerate(images):
        folder = tmp_path / f"class{index % 2}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{index}.png")
    data = open_dataset(str(tmp_path), model("NCHW"))
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    expected = images[[0, 2, 4, 1, 3, 5]].transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_allclose(data.at(np.arange(6)).inputs["x"], expected, atol=1e-6)
    (tmp_path / "class0" / "broken.png").write_bytes(b"none")
    with pytest.raises(GalenError, match=r"broken\.png: not an image"):
        open_dataset(str(tmp_path), model("NCHW")).at(np.arange(7))


def test_random_samples_have_the_inputs_types_and_are_repeatable() -> None:
    first, second = (random_dataset(model("words"), 4, np.random.default_rng(1)).at(np.arange(4)) for _ in range(2))
    assert first.inputs["ids"].dtype == np.int64
    np.testing.assert_array_equal(first.inputs["mask"], second.inputs["mask"])


def test_random_samples_of_inputs_without_a_common_first_axis_are_whole_runs() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[4,2] frames, float[1,3] state) => (float[A,B] y)
        { y = Concat<axis = 1>(frames, frames) }"""
    inputs = random_dataset(from_proto(onnx.parser.parse_model(text)), 5, np.random.default_rng(0)).at(np.arange(3))[0]
    assert {name: array.shape for name, array in inputs.items()} == {"frames": (12, 2), "state": (3, 3)}
