"""mypy sees every file: the folders lie at the root, so it follows links that give them their import names."""

import shutil
import subprocess
import sys
from pathlib import Path

FOLDERS = ("ir", "passes", "agents", "backends", "galen")
VICTIMS = ("ir/errors.py", "passes/policy.py", "agents/searcher.py", "backends/latency.py", "galen/edge.py")
FAULT = '\n\ndef _wrong() -> int:\n    return "text"\n'


def test_every_module_has_a_link(repository: Path) -> None:
    links = {link.name: link.resolve() for link in (repository / ".mypy" / "galen").iterdir()}
    expected = {name: repository / name for name in FOLDERS if name != "galen"}
    expected |= {
        path.name: path
        for path in (repository / "galen").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert links == expected


def test_a_type_error_in_any_folder_is_found(repository: Path, tmp_path: Path) -> None:
    for folder in FOLDERS:
        shutil.copytree(repository / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(repository / ".mypy", tmp_path / ".mypy", symlinks=True)
    shutil.copy(repository / "setup.cfg", tmp_path)
    for victim in VICTIMS:
        with (tmp_path / victim).open("a") as file:
            file.write(FAULT)
    modules = [f"galen.{victim.removeprefix('galen/').removesuffix('.py').replace('/', '.')}" for victim in VICTIMS]
    command = [sys.executable, "-m", "mypy", *(part for module in modules for part in ("-m", module))]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    for victim in VICTIMS:
        place = victim if victim.startswith("galen/") else f"galen/{victim}"
        assert f".mypy/{place}:" in found, found
    assert found.count("[return-value]") == len(VICTIMS), found
