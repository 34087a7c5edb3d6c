"""What driver and workers tell each other, as bytes; see `galen.codec`. Nothing is pickled."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from galen.agents.searcher import Outcome
from galen.backends.latency import Latency, LayerLatency
from galen.codec import pack, unpack
from galen.evaluate import Evaluation
from galen.ir import Model
from galen.ir.io import load, save
from galen.objective import Objective
from galen.options import SearchOptions
from galen.passes.policy import Policy
from galen.runners import RunnerOptions


def request(policy: Policy, rivals: Sequence[Outcome]) -> bytes:
    """Return the arguments of an evaluation."""
    return pack({"policy": str(policy), "rivals": [asdict(rival) for rival in rivals]})


def read_request(data: bytes) -> tuple[Policy, tuple[Outcome, ...]]:
    """Return what `request` was given."""
    told = unpack(data)
    return Policy.parse(told["policy"]), tuple(Outcome(**rival) for rival in told["rivals"])


def reply(evaluation: Evaluation) -> bytes:
    """Return an evaluation."""
    return pack(
        {
            "outcome": asdict(evaluation.outcome),
            "latency": None if evaluation.latency is None else asdict(evaluation.latency),
            "seconds": dict(evaluation.seconds),
            "model": None if evaluation.model is None else _bytes(evaluation.model),
        }
    )


def read_reply(data: bytes) -> Evaluation:
    """Return what `reply` was given."""
    told = unpack(data)
    return Evaluation(
        outcome=Outcome(**told["outcome"]),
        model=None if told["model"] is None else load(told["model"]),
        latency=None if told["latency"] is None else _latency(told["latency"]),
        seconds=told["seconds"],
    )


def _bytes(model: Model) -> bytes:
    stream = BytesIO()
    save(model, stream)
    return stream.getvalue()


def _latency(told: Mapping[str, Any]) -> Latency:
    return Latency(**{**told, "layers": tuple(LayerLatency(**layer) for layer in told["layers"])})


def options(chosen: SearchOptions) -> dict[str, Any]:
    """Return the options of a search as JSON values."""
    return {**asdict(chosen), "model": str(chosen.model), "output": str(chosen.output)}


def read_options(told: Mapping[str, Any]) -> SearchOptions:
    """Return what `options` was given."""
    return SearchOptions(
        **{
            **told,
            "model": Path(told["model"]),
            "output": Path(told["output"]),
            "objective": Objective(**told["objective"]),
            "runner": RunnerOptions(**told["runner"]),
            "shapes": {name: tuple(shape) for name, shape in told["shapes"].items()},
        }
    )
