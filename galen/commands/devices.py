"""galen devices: list what models can be run on from here."""

import argparse
import json
from typing import TextIO

from galen.commands import options
from galen.edge import DONE


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--tracker", type=options.address, metavar="HOST:PORT", help="list its devices too")
    options.add_json(parser)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Print the runners that work here, and the tracker's devices."""
    from galen.backends.execution import is_native  # noqa: PLC0415
    from galen.backends.targets import all_targets  # noqa: PLC0415

    rows = [("host", "local", "measured", "this machine")]
    rows += [(t.name, "local", "measured", "this machine") for t in all_targets() if t.pipeline and is_native(t)]
    rows += [(t.name, "emulator", "modelled", "anywhere") for t in all_targets() if t.pipeline]
    if arguments.tracker is not None:
        rows += [(key, "rpc", "measured", state) for key, state in _tracked(arguments.tracker)]
    keys = ("target", "runner", "kind", "state")
    if arguments.json:
        out.write(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]) + "\n")
        return DONE
    for row in (keys, *rows):
        out.write("".join(f"{field:<18}" for field in row).rstrip() + "\n")
    return DONE


def _tracked(address: str) -> list[tuple[str, str]]:
    """Return key and state of every kind of device that the tracker knows.

    Raises:
        GalenError: it does not answer.
    """
    from tvm import rpc  # noqa: PLC0415

    from galen.ir import GalenError  # noqa: PLC0415

    host, port = address.rsplit(":", 1)
    try:
        summary = rpc.connect_tracker(host, int(port)).summary()
    except (RuntimeError, OSError) as error:
        raise GalenError(
            "no tracker answers", where=address, hint="start one: python -m tvm.exec.rpc_tracker"
        ) from error
    return [(key, f"{queue['free']} free, {queue['pending']} waiting") for key, queue in summary["queue_info"].items()]
