"""The clock against boards: ncnn's networks under the emulator, beside the times that ncnn publishes for real boards.

    python benchmarks/clock_boards.py --networks NCNN/benchmark/models --boards BOARDS.json --root FOLDER

NCNN is ncnn's source; BOARDS.json is `{"boards": {NAME: {"core": …, "ghz": …, "min_ms": {NETWORK: …}}}}`, one thread;
FOLDER receives an arm64 Python (Debian, needs qemu-user) and the counts, so that an interrupted run goes on, and a
change of a pipeline table needs no new one. Each network infers once and twice; the difference is timed.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from arm64_root import NCNN, arm64_root, environment, python
from scipy.stats import spearmanr

from galen.backends.cache import LatencyCache
from galen.backends.emulator.clock import Clock
from galen.backends.emulator.counters import Block
from galen.backends.emulator.memory import Traffic
from galen.backends.emulator.process import Process, emulate
from galen.backends.target import Target
from galen.backends.targets import find

SIDES = {
    "squeezenet": 227, "squeezenet_int8": 227, "alexnet": 227, "blazeface": 128, "squeezenet_ssd": 300,
    "squeezenet_ssd_int8": 300, "mobilenet_ssd": 300, "mobilenet_ssd_int8": 300, "mobilenet_yolo": 416,
    "mobilenetv2_yolov3": 352, "yolov4-tiny": 416, "nanodet_m": 320, "yolo-fastest-1.1": 320, "yolo-fastestv2": 352,
    "vision_transformer": 384, "FastestDet": 352,
}  # fmt: skip
"""Width and height of the input, as in ncnn's benchmark; 224 otherwise."""

GUEST = Path(__file__).with_name("ncnn_network.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=Path, required=True)
    parser.add_argument("--boards", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--slowest", type=float, default=610.0, help="skip networks that take longer, in ms")
    args = parser.parse_args()
    root, cache = arm64_root(args.root, NCNN), LatencyCache(args.root / "counts.db")
    for name, board in json.loads(args.boards.read_text())["boards"].items():
        target = replace(find(board["core"]), frequency_hz=board["ghz"] * 1e9)
        published = {n: t for n, t in board["min_ms"].items() if t <= args.slowest}
        compare(name, {n: (modelled(n, target, args.networks, root, cache), t) for n, t in published.items()})


def modelled(network: str, target: Target, networks: Path, root: Path, cache: LatencyCache) -> float:
    """Return the modelled milliseconds of one inference."""
    key = f"{network}/{target.cpu}/{sorted(target.caches.items())}"
    counts = cache.get_or(key, lambda: counted(inference(networks / f"{network}.param", target, root)))
    blocks = [Block(address, bytes.fromhex(code), executions) for address, code, executions in counts["blocks"]]
    clock = Clock(target)
    return clock.cycles(clock.profile_blocks(blocks, Traffic(**counts["traffic"]))) / target.frequency_hz * 1e3


def inference(path: Path, target: Target, root: Path) -> Process:
    """Return what the second inference of a process executes."""
    side = SIDES.get(path.stem, 224)
    command = [python(root), "-S", str(GUEST), str(path), f"{side}x{side}x3"]
    once, twice = (emulate(target, [*command, str(n)], environment(root), root) for n in (1, 2))
    if once.status or twice.status:
        raise SystemExit(f"{path.stem} failed with status {once.status or twice.status}")
    return twice.minus(once)


def counted(process: Process) -> dict[str, Any]:
    """Return blocks and traffic as JSON values."""
    blocks = (visit.block for visit in process.visits)
    listed = [[block.address, block.code.hex(), block.executions] for block in blocks]
    return {"blocks": listed, "traffic": asdict(process.traffic)}


def compare(board: str, times: dict[str, tuple[float, float]]) -> None:
    print(f"\n{board}: {len(times)} networks, one thread, milliseconds")
    print(f"{'network':22s} {'published':>10s} {'modelled':>10s} {'error':>7s}")
    for network, (ours, theirs) in times.items():
        print(f"{network:22s} {theirs:10.2f} {ours:10.2f} {ours / theirs - 1:+7.1%}")
    for label, chosen in (("fp32", [t for n, t in times.items() if "int8" not in n]), ("all", list(times.values()))):
        errors = [abs(ours / theirs - 1) for ours, theirs in chosen]
        rank = spearmanr(*zip(*chosen, strict=True)).statistic
        print(
            f"{label}: Spearman {rank:.4f}, error median {median(errors):.1%}, worst {max(errors):.1%}, n {len(chosen)}"
        )


if __name__ == "__main__":
    main()
