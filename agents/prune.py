"""The Galen paper's agent for channels (19 features, 1 action)."""

from galen.agents.ddpg import REPAIRED, Hyper
from galen.agents.features import PRUNE
from galen.agents.layerwise import Layerwise
from galen.agents.problem import Problem
from galen.agents.walk import SPARSITY


def prune(problem: Problem, hyper: Hyper = REPAIRED) -> Layerwise:
    """Return the agent; `hyper` may be `galen.agents.ddpg.PUBLISHED`."""
    return Layerwise(problem, PRUNE, (SPARSITY,), hyper)
