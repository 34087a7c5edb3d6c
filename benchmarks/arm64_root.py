"""Makes a folder in which an arm64 Python with ncnn runs under qemu-user: Debian's packages and PyPI's wheels, no root."""

import subprocess
import sys
from pathlib import Path

PYTHON = "python3.11"
PACKAGES = (
    "python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libstdc++6 libgcc-s1 libgomp1 zlib1g libexpat1"
).split()
WHEELS = ("ncnn", "numpy")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
APT = """
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
APT::Architectures {{"amd64"; "arm64";}};
APT::Sandbox::User "root";
"""


def arm64_root(folder: Path) -> Path:
    """Fill `folder` once; return it."""
    if not (folder / "site" / "ncnn").is_dir():
        _debian(folder)
        _wheels(folder)
    return folder


def environment(root: Path) -> dict[str, str]:
    """Return the variables with which `root`'s Python finds itself and the wheels."""
    return {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(root / "site"), "OMP_NUM_THREADS": "1"}


def python(root: Path) -> str:
    """Return the arm64 interpreter."""
    return str(root / "usr" / "bin" / PYTHON)


def _debian(folder: Path) -> None:
    apt = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial", "packages"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "apt.conf").write_text(APT.format(folder=apt))
    run = {
        "cwd": apt / "packages",
        "env": {"APT_CONFIG": str(apt / "apt.conf"), "PATH": "/usr/bin:/bin"},
        "check": True,
    }
    subprocess.run(["apt-get", "-qq", "update"], **run)
    subprocess.run(["apt-get", "-qq", "download", *(f"{name}:arm64" for name in PACKAGES)], **run)
    for package in (apt / "packages").glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)


def _wheels(folder: Path) -> None:
    platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
    options = ["--only-binary=:all:", "--no-deps", "--python-version", "3.11", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *platforms, *options, *WHEELS], check=True)
