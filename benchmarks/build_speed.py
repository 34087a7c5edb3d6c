"""Seconds to build a network: from nothing, with every kernel cached, and to look up its modelled time.

    python benchmarks/build_speed.py [--core cortex-a72] [--networks NAME ...] [--repeats 5]

In one process, TVM already imported. `nothing` begins with an empty folder of kernels; `cached` lowers, packs weights,
links and writes the library again; `latency` lowers and looks every kernel's time up, as an episode of a search does.
Real seconds, the best of the repeats (of one for `nothing`).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tvm  # noqa: F401 - its import is not part of a build
from fp32_networks import NETWORKS, exported

from galen.backends.cache import LatencyCache
from galen.backends.link import link
from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.targets import find
from galen.ir.io import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", default="cortex-a72")
    parser.add_argument("--networks", nargs="+", default=["ResNet-20", "ResNet-18 (CIFAR)"], choices=list(NETWORKS))
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    print(f"{'network':20s} {'nothing':>9s} {'cached':>9s} {'latency':>9s} {'library':>9s}")
    for name in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            report(name, args.core, Path(folder), args.repeats)


def report(name: str, core: str, folder: Path, repeats: int) -> None:
    model, target, library = load(exported(name, folder / "network.onnx")), find(core), folder / "network.so"
    runner = EmulatorRunner(target, LatencyCache(folder / "times.db"), folder / "objects")

    def build() -> None:
        link(lower(model, target), library, folder / "objects")

    def latency() -> None:
        runner.latency(lower(model, target))

    nothing, cached = seconds(build, 1), seconds(build, repeats)
    latency()
    looked_up, size = seconds(latency, repeats), library.stat().st_size / 1e6
    print(f"{name:20s} {nothing:7.2f} s {cached:7.3f} s {looked_up:7.3f} s {size:6.1f} MB", flush=True)


def seconds(run: Callable[[], None], repeats: int) -> float:
    """Return the shortest time."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
