"""The Galen paper's agent for channels and widths together (47 features, 3 actions)."""

from galen.agents.ddpg import REPAIRED, Hyper
from galen.agents.features import JOINT
from galen.agents.layerwise import Layerwise
from galen.agents.problem import Problem
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT


def joint(problem: Problem, hyper: Hyper = REPAIRED) -> Layerwise:
    """Return the agent; `hyper` may be `galen.agents.ddpg.PUBLISHED`."""
    return Layerwise(problem, JOINT, (SPARSITY, ACTIVATION, WEIGHT), hyper)
