"""Searchers by the name that `--agent` takes."""

from collections.abc import Callable
from dataclasses import replace

from galen.agents.bayesian import Gaussian, Parzen
from galen.agents.ddpg import PUBLISHED, REPAIRED
from galen.agents.evolutionary import Evolutionary
from galen.agents.joint import joint
from galen.agents.knapsack import Knapsack
from galen.agents.problem import Problem
from galen.agents.prune import prune
from galen.agents.quantize import quantize
from galen.agents.random import Random
from galen.agents.rewards import check as check_reward
from galen.agents.searcher import Searcher
from galen.agents.uniform import Uniform
from galen.ir import UsageError

LEARNERS = {"joint": joint, "prune": prune, "quantize": quantize}
OTHERS: dict[str, Callable[[Problem], Searcher]] = {
    "random": Random,
    "uniform": Uniform,
    "evolutionary": Evolutionary,
    "bayesian": Parzen,
    "gaussian": Gaussian,
    "knapsack": Knapsack,
}
NAMES = (*LEARNERS, *OTHERS)


def check(name: str, *, faithful: bool = False, reward: str | None = None) -> None:
    """Refuse what `make` cannot make.

    Raises:
        UsageError: no such searcher or reward, or an option that it does not have.
    """
    if name not in NAMES:
        raise UsageError(f"unknown agent {name!r}", where="--agent", hint=f"known: {', '.join(NAMES)}")
    if name not in LEARNERS and (faithful or reward is not None):
        option = "--faithful" if faithful else "--reward"
        raise UsageError(f"agent {name} does not learn", where=option, hint=f"it is for {', '.join(LEARNERS)}")
    if reward is not None:
        check_reward(reward)


def make(name: str, problem: Problem, *, faithful: bool = False, reward: str | None = None) -> Searcher:
    """Return the searcher called `name`.

    Args:
        name: one of `NAMES`.
        problem: what it is told.
        faithful: published constants and network sizes.
        reward: which reward a learner is paid, None: its default.

    Raises:
        UsageError: see `check`.
    """
    check(name, faithful=faithful, reward=reward)
    if name in OTHERS:
        return OTHERS[name](problem)
    hyper = PUBLISHED if faithful else REPAIRED
    return LEARNERS[name](problem, hyper if reward is None else replace(hyper, reward=reward))
