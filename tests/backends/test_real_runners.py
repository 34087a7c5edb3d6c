"""Runners whose time is real: this machine, and devices behind RPC."""

import numpy as np
import pytest
from one_conv import CONV, example, program

from galen.backends.device import judge
from galen.backends.local_runner import LocalRunner, Plan
from galen.backends.rpc_runner import Connection, RpcRunner, without_outliers
from galen.backends.targets import find
from galen.ir.errors import GalenError


def test_this_machine_is_measured() -> None:
    latency = LocalRunner(find("host"), Plan(repeats=6, seconds=0.001)).latency(program("host"))
    assert (latency.kind, latency.model, latency.runs) == ("measured", None, 6)
    assert 0 < latency.p10 <= latency.median <= latency.p90
    assert [(layer.name, layer.macs) for layer in latency.layers] == [("conv", CONV.macs)]
    assert latency.layers[0].latency_ms > 0


def test_this_machine_computes_the_reference() -> None:
    x, expected = example()
    found = LocalRunner(find("host")).outputs(program("host"), {"x": x})["y"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_too_few_measurements() -> None:
    with pytest.raises(GalenError, match="4 measurements say nothing about the spread"):
        LocalRunner(find("host"), Plan(repeats=4))


def test_no_device_answers() -> None:
    runner = RpcRunner(find("host"), Connection("127.0.0.1:1", attempts=2))
    with pytest.raises(GalenError, match=r"127\.0\.0\.1:1: the device fails: .*tried 2 times"):
        runner.latency(program("host"))


def test_a_malformed_address() -> None:
    with pytest.raises(GalenError, match="not an address: 'board'"):
        RpcRunner(find("host"), Connection("board", attempts=1)).latency(program("host"))


def test_outliers_are_dropped() -> None:
    times = np.array([5.0, 5.1, 4.9, 5.05, 9.0, 4.95])
    assert sorted(without_outliers(times)) == [4.9, 4.95, 5.0, 5.05, 5.1]
    assert len(without_outliers(np.full(5, 3.0))) == 5


ARM, X86 = b"processor : 0\nCPU implementer : 0x41\n", b"processor : 0\nvendor_id : GenuineIntel\n"


@pytest.mark.parametrize(
    ("kernel", "processor", "board", "genuine"),
    [
        (b"aarch64\n", ARM, b"raspberrypi,4-model-b", True),
        (b"", ARM, b"raspberrypi,4-model-b", True),  # older kernels do not say
        (b"x86_64\n", X86, b"", False),  # qemu-user shows the host's processor
        (b"x86_64\n", ARM, b"", False),  # newer qemu-user invents one, but not the kernel
        (b"aarch64\n", ARM, b"linux,dummy-virt", False),
        (b"aarch64\n", b"", b"", False),
    ],
)
def test_only_hardware_of_the_targets_kind_is_genuine(
    kernel: bytes, processor: bytes, board: bytes, genuine: bool
) -> None:
    assert judge([kernel, processor, board, b"", b""], find("cortex-a72")) is genuine


def test_a_virtual_machine_is_not_genuine() -> None:
    assert not judge([b"aarch64", ARM, b"", b"QEMU\n", b""], find("cortex-a72"))
    assert judge([b"x86_64", X86, b"", b"Dell Inc.\n", b""], find("host"))
