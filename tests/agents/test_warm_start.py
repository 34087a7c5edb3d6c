"""A warm start proposes first what another searcher does, and loses nothing when it is stopped in between."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from galen.agents.joint import joint
from galen.agents.knapsack import Knapsack
from galen.agents.layerwise import Layerwise
from galen.agents.problem import Problem
from galen.agents.prune import prune
from galen.agents.quantize import quantize
from galen.agents.searcher import Searcher
from galen.agents.synthetic import Separable
from galen.agents.warm_start import Given, WarmStart
from galen.passes.policy import Policy

TOY = Separable.draw(0, layers=4)
PROBLEM = TOY.problem(seed=0)


def learner() -> Layerwise:
    return joint(PROBLEM)


def proposals(searcher: Searcher, count: int) -> list[Policy]:
    asked = []
    for _ in range(count):
        asked.append(searcher.ask())
        searcher.tell(asked[-1], TOY.evaluate(asked[-1]))
    return asked


def test_the_first_proposals_are_the_allocators_then_the_searcher_explores_around_them() -> None:
    asked = proposals(WarmStart(Knapsack(PROBLEM), 2, learner()), 4)
    assert asked[:2] == proposals(Knapsack(PROBLEM), 2)
    assert asked[2] not in asked[:2]
    assert asked[2] != learner().ask()


def test_stopped_anywhere_it_goes_on_as_if_it_had_not_been() -> None:
    whole = proposals(WarmStart(Knapsack(PROBLEM), 2, learner()), 6)
    for stop in range(5):
        before, after = (WarmStart(Knapsack(PROBLEM), 2, learner()) for _ in range(2))
        begun = proposals(before, stop)
        after.load(before.state())
        assert begun + proposals(after, 6 - stop) == whole


def test_given_policies_come_in_order() -> None:
    policies = [PROBLEM.space.legal(Policy()), Knapsack(PROBLEM).ask()]
    assert proposals(WarmStart(Given(policies), 2, learner()), 2) == policies


@pytest.mark.parametrize(
    ("agent", "decides"), [(prune, {"groups"}), (quantize, {"layers"}), (joint, {"groups", "layers"})]
)
def test_an_agent_is_given_only_what_it_decides_itself(
    agent: Callable[[Problem], Layerwise], decides: set[str]
) -> None:
    whole = PROBLEM.space.legal(Policy())
    reach = agent(PROBLEM).reach
    for policy in proposals(Knapsack(replace(PROBLEM, space=reach)), 3):
        assert {part for part in ("groups", "layers") if getattr(policy, part) != getattr(whole, part)} == decides
