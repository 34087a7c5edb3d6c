"""What a search is asked to do."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galen.ir import UsageError
from galen.ir.files import STANDARD_STREAM
from galen.objective import Objective
from galen.runners import RunnerOptions
from galen.workers.choice import WorkerChoice

DEFAULT_EPISODES = 150


@dataclass(frozen=True)
class SearchOptions:
    """The arguments of `galen search`; see the README for each flag.

    Attributes:
        model: ONNX file.
        data: what rewards and choices use; `train_data` calibrates and recovers; `test_data` is only reported.
        output: folder for the results.
        runner: what runs candidates.
        recover: `none`, `statistics`, `reconstruct` or `steps:N`.
        time_budget: seconds for the episodes, over all runs.
        augment: shift and mirror the images on which the winner is fine-tuned.
        subset: how many samples of `data` score a candidate; winners are scored on all.
        warm_start: `none`, `knapsack`, or the folder of an earlier search.
        reward: of the learning agents; None: their own.
        faithful: the published constants and network sizes instead of the repaired ones.
        workers: how many candidates are evaluated at once, and where; see `galen.workers.choice`.

    Raises:
        UsageError: a value is out of range.
    """

    model: Path
    data: str
    output: Path
    train_data: str | None = None
    test_data: str | None = None
    agent: str = "joint"
    objective: Objective = field(default_factory=Objective)
    episodes: int | None = None
    time_budget: float | None = None
    target: str = "cortex-a72"
    runner: RunnerOptions = field(default_factory=RunnerOptions)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    metric: str | None = None
    recover: str = "reconstruct"
    finetune_epochs: int = 0
    augment: bool = False
    criterion: str = "activation"
    subset: int = 1000
    warm_start: str = "knapsack"
    reward: str | None = None
    faithful: bool = False
    workers: str = "1"
    seed: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        for name, least in (("finetune_epochs", 0), ("subset", 1), ("seed", 0)):
            if getattr(self, name) < least:
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{getattr(self, name)} is less than {least}", where=flag)
        if self.episodes is not None and self.episodes < 1:
            raise UsageError(f"{self.episodes} is less than 1", where="--episodes")
        if self.time_budget is not None and self.time_budget <= 0:
            raise UsageError(f"{self.time_budget:g} s is no time", where="--time-budget")
        if not WorkerChoice.parse(self.workers).is_inline:
            self._check_workers()

    def _check_workers(self) -> None:
        if str(self.model) == STANDARD_STREAM:
            raise UsageError("workers cannot read standard input", where="--workers", hint="name a file")
        if self.runner.name == "local" or (self.runner.name is None and self.target == "host"):
            raise UsageError("workers would disturb what is timed here", where="--workers", hint="--workers 1")

    @property
    def limit(self) -> int:
        """Return the number of episodes at most: what was asked for, unlimited with a time budget alone."""
        if self.episodes is not None:
            return self.episodes
        return DEFAULT_EPISODES if self.time_budget is None else 10**9

    def to_json(self) -> dict[str, Any]:
        """Return what has to be the same for a search to be resumed."""
        free = {"output", "resume", "episodes", "time_budget", "finetune_epochs", "augment", "test_data"}
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in free}
        return {
            **values,
            "model": str(self.model),
            "objective": str(self.objective),
            "runner": dataclasses.asdict(self.runner),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
        }
