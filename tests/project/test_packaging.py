"""The wheel: built, installed apart, complete."""

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FOLDERS = {"ir": "galen/ir", "passes": "galen/passes", "agents": "galen/agents", "backends": "galen/backends"}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from what git knows (and what is new): nothing that happens to lie about can slip in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=repository).splitlines()
    for name in listed:
        if (repository / name).is_file() and not name.startswith((".mypy/", "tests/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((repository / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", out, source, cwd=out)
    (built,) = out.glob("galen-*.whl")
    return built


def test_every_package_is_declared(repository: Path) -> None:
    config = configparser.ConfigParser()
    config.read(repository / "setup.cfg")
    declared = set(config["options"]["packages"].split())
    existing = {
        ".".join(["galen", *init.parent.relative_to(repository).parts]).replace("galen.galen", "galen")
        for folder in ("galen", *FOLDERS)
        for init in (repository / folder).rglob("__init__.py")
    }
    assert declared == existing


def test_the_wheel_holds_every_file_of_every_package(repository: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info" not in name}
    wanted = set()
    for name in run("git", "ls-files", cwd=repository).splitlines():
        top, _, rest = name.partition("/")
        if (top in FOLDERS or top == "galen") and (repository / name).is_file():
            wanted.add(f"{FOLDERS.get(top, 'galen')}/{rest}")
    assert wanted - packed == set()


def test_an_installed_wheel_works_away_from_the_sources(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    program = (
        f"import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in str(f).lower()];"
        f"sys.path.insert(0, {str(site)!r});"
        "import galen; from importlib.resources import files; from galen.backends.targets import find;"
        "print(galen.__file__, find('cortex-a72').name, (files('galen.report') / 'templates/page.html').is_file())"
    )
    place, target, template = run(sys.executable, "-c", program, cwd=tmp_path).split()
    assert Path(place).is_relative_to(site)
    assert (target, template) == ("cortex-a72", "True")
    assert (site / "galen" / "py.typed").exists()


@pytest.mark.parametrize("command", ["galen", "galen-opt"])
def test_help_and_version_need_nothing_heavy(command: str, tmp_path: Path) -> None:
    module = {"galen": "galen.cli", "galen-opt": "galen.opt"}[command]
    program = (
        f"import sys; from {module} import main; code = main(['--help']);"
        "heavy = {'numpy', 'onnx', 'onnx_ir', 'torch', 'tvm', 'onnxruntime', 'rich'} & set(sys.modules);"
        "sys.exit(f'{code} {sorted(heavy)}' if code or heavy else 0)"
    )
    assert "usage" in run(sys.executable, "-c", program, cwd=tmp_path)
