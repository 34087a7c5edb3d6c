"""The Galen paper's agent for widths (32 features, 2 actions)."""

from galen.agents.ddpg import REPAIRED, Hyper
from galen.agents.features import QUANTIZE
from galen.agents.layerwise import Layerwise
from galen.agents.problem import Problem
from galen.agents.walk import ACTIVATION, WEIGHT


def quantize(problem: Problem, hyper: Hyper = REPAIRED) -> Layerwise:
    """Return the agent; `hyper` may be `galen.agents.ddpg.PUBLISHED`."""
    return Layerwise(problem, QUANTIZE, (ACTIVATION, WEIGHT), hyper)
