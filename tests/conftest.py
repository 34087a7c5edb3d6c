"""What every test may ask for: the folder of real data, and the repository itself."""

import subprocess
import sys
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--data=DIR` (with the equals sign: pytest takes a bare folder for tests): real networks and images."""
    parser.addoption("--update-golden", action="store_true", help="write what passes do now into tests/golden")
    parser.addoption("--data", metavar="DIR", help="folder of real networks and images")


@pytest.fixture(scope="session")
def data_dir(request: pytest.FixtureRequest) -> Path:
    """Return the folder given by `--data=DIR`; the test is skipped, by name, when there is none."""
    given = request.config.getoption("--data")
    if given is None:
        pytest.skip("needs real data: pytest --data=DIR")
    folder = Path(given).resolve()
    if not (folder / "models").is_dir():
        pytest.fail(f"--data {folder}: no folder 'models' in it")
    return folder


@pytest.fixture(scope="session")
def models_dir(data_dir: Path) -> Path:
    """Return the folder of real ONNX networks."""
    return data_dir / "models"


@pytest.fixture(scope="session")
def datasets(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the real images in the form that `--data` of the commands takes."""
    folder = tmp_path_factory.mktemp("datasets")
    subprocess.run([sys.executable, data_dir / "convert.py", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of this repository."""
    return Path(__file__).parents[1]
