"""Targets: found by name, alias or file; an unknown one names the nearest."""

import json
from pathlib import Path

import pytest

from galen.backends.targets import all_targets, find
from galen.ir.errors import GalenError
from galen.passes.policy import FP16, FP32, INT8

NAMES = [
    "apple-m1",
    "cortex-a53",
    "cortex-a55",
    "cortex-a72",
    "cortex-a73",
    "cortex-a76",
    "host",
    "neoverse-n1",
    "neoverse-v2",
]


def test_all_targets_are_there() -> None:
    assert [target.name for target in all_targets()] == NAMES


@pytest.mark.parametrize(
    ("alias", "name"),
    [("raspberry-pi-3", "cortex-a53"), ("raspberry-pi-4", "cortex-a72"), ("raspberry-pi-5", "cortex-a76")],
)
def test_a_board_is_its_core(alias: str, name: str) -> None:
    assert find(alias) == find(name)


def test_capabilities() -> None:
    assert not find("cortex-a72").has("dotprod")
    assert find("cortex-a76").has("dotprod")
    assert find("cortex-a76").has("fullfp16")
    for target in all_targets():
        widths = target.limits.widths["Conv"]
        assert {FP32, INT8} <= set(widths)
        assert (FP16 in widths) == target.has("fullfp16")
        assert target.caches["l1"] < target.caches["l2"]


def test_host_is_this_machine() -> None:
    host = find("host")
    assert host.triple
    assert host.cpu


def test_unknown_target_names_the_nearest() -> None:
    with pytest.raises(GalenError, match=r"unknown target 'cortex-a722' \(did you mean 'cortex-a72'\?"):
        find("cortex-a722")


def test_a_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    path.write_text(json.dumps({"triple": "aarch64-linux-gnu", "cpu": "cortex-a35", "limits": {"channel_multiple": 8}}))
    target = find(str(path))
    assert (target.name, target.cpu, target.limits.channel_multiple) == ("board", "cortex-a35", 8)


CORE = {"triple": "aarch64-linux-gnu", "cpu": "cortex-a35"}
CACHES = {"line": 64, "l1": 32768, "l1_ways": 4}


@pytest.mark.parametrize("text", ["[]", "{", "7"])
def test_a_malformed_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "board.json"
    path.write_text(text)
    with pytest.raises(GalenError, match=r"board\.json: not a target"):
        find(str(path))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"triple": "aarch64-linux-gnu"}, "'cpu' is missing"),
        (CORE | {"colour": "z"}, "'colour' is unknown"),
        (CORE | {"threads": 2}, "'threads' is unknown"),
        (CORE | {"cores": "four"}, "'cores' must be a whole number above 0"),
        (CORE | {"frequency_hz": 0}, "'frequency_hz' must be a number above 0"),
        (CORE | {"features": "+neon"}, "'features' must be a list"),
        (CORE | {"pipeline": "cortex-a35", "caches": CACHES}, "'pipeline' names no table 'cortex-a35'"),
        (CORE | {"pipeline": "cortex-a53", "caches": {"line": 64, "l1": 32768}}, r"'caches\.l1_ways' is missing"),
        (CORE | {"pipeline": "cortex-a53", "caches": CACHES | {"l1": 32770}}, r"'caches\.l1' must be a multiple"),
        (CORE | {"caches": CACHES | {"l4": 1}}, r"'caches\.l4' is unknown"),
        (CORE | {"limits": {"channel_multiple": 0}}, r"'limits\.channel_multiple' must be"),
        (CORE | {"limits": {"widths": {"Conv": [[8]]}}}, r"'limits\.widths\.Conv' must be a list of pairs"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, fields: dict[str, object], named: str) -> None:
    path = tmp_path / "board.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(GalenError, match=named):
        find(str(path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(GalenError, match=r"nowhere\.json: cannot read the target"):
        find("nowhere.json")
