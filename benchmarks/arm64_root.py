"""Makes a folder in which an arm64 Python runs under qemu-user: Debian's packages and PyPI's wheels, no root needed."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

PYTHON = "python3.11"
PACKAGES = (
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libc6",
    "libstdc++6",
    "libgcc-s1",
    "libgomp1",
    "zlib1g",
    "libexpat1",
    "libffi8",
)
NCNN = ("ncnn", "numpy")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_24_aarch64", "manylinux2014_aarch64")
APT = """
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
APT::Architectures {{"amd64"; "arm64";}};
APT::Sandbox::User "root";
"""


def tvm_runtime() -> tuple[str, ...]:
    """Return the wheels of the runtime that compiled networks need, in the versions that compile here."""
    names = ("apache-tvm", "apache-tvm-ffi")
    return (*(f"{name}=={version(name)}" for name in names), "typing_extensions", "numpy")


def arm64_root(folder: Path, wheels: tuple[str, ...]) -> Path:
    """Fill `folder` with Python and `wheels`, once; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "usr" / "bin" / PYTHON).exists():
        _debian(folder.absolute())
    done = folder / f"wheels-{'-'.join(wheels)}"
    if not done.exists():
        platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
        options = ["--only-binary=:all:", "--no-deps", "--upgrade", "--python-version", "3.11"]
        target = ["--target", str(folder / "site")]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", *platforms, *options, *target, *wheels], check=True
        )
        done.touch()
    return folder.absolute()


def environment(root: Path) -> dict[str, str]:
    """Return the variables with which `root`'s Python finds itself and the wheels."""
    folders = {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(root / "site")}
    return {**folders, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def python(root: Path) -> str:
    """Return the arm64 interpreter."""
    return str(root / "usr" / "bin" / PYTHON)


def _debian(folder: Path) -> None:
    apt = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial", "packages"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "apt.conf").write_text(APT.format(folder=apt))
    variables = {"APT_CONFIG": str(apt / "apt.conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    names = [f"{name}:arm64" for name in PACKAGES]
    for command in (["update"], ["download", *names]):
        subprocess.run(["apt-get", "-qq", *command], cwd=apt / "packages", env=variables, check=True)
    for package in (apt / "packages").glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
