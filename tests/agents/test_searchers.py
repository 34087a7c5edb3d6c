"""Every searcher: legal policies, the same ones for the same seed, and learners that learn."""

from dataclasses import replace

import numpy as np
import pytest

from galen.agents.catalogue import LEARNERS, NAMES, make
from galen.agents.goal import Goal
from galen.agents.problem import Problem
from galen.agents.random import Random
from galen.agents.rewards import REWARDS
from galen.agents.searcher import Outcome, Searcher
from galen.agents.synthetic import Separable
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT
from galen.ir import UsageError
from galen.passes.policy import Policy

EVALUATIONS = 40
DECIDES = {"joint": (SPARSITY, ACTIVATION, WEIGHT), "prune": (SPARSITY,), "quantize": (ACTIVATION, WEIGHT)}


def search(toy: Separable, searcher: Searcher, evaluations: int) -> list[tuple[Policy, Outcome]]:
    seen = []
    for _ in range(evaluations):
        policy = searcher.ask()
        seen.append((policy, toy.evaluate(policy)))
        searcher.tell(*seen[-1])
    return seen


def best(problem: Problem, seen: list[tuple[Policy, Outcome]]) -> float:
    outcome = min((outcome for _, outcome in seen), key=problem.goal.rank)
    assert problem.goal.met(outcome)
    return outcome.accuracy


@pytest.mark.parametrize("name", NAMES)
def test_policies_are_legal_and_follow_from_the_seed(name: str) -> None:
    toy = Separable.draw(0, layers=6)
    first, second, other = (search(toy, make(name, toy.problem(seed, share=0.7)), 13) for seed in (1, 1, 2))
    assert [p for p, _ in first] == [p for p, _ in second]
    assert all(toy.space.legal(policy) == policy for policy, _ in first)
    assert name in ("uniform", "knapsack") or [p for p, _ in first] != [p for p, _ in other]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_proposed_uses_the_latency_budget_and_no_more(name: str) -> None:
    toy = Separable.draw(0)
    problem = toy.problem(0, share=0.7)
    latencies = [o.latency_ms / problem.goal.max_latency_ms for _, o in search(toy, make(name, problem), 12)]
    assert max(latencies) <= 1.0
    assert name == "uniform" or np.mean(latencies) > 0.85


@pytest.mark.parametrize("name", LEARNERS)
def test_learning_beats_drawing_at_random_at_equal_evaluations(name: str) -> None:
    gains = []
    for seed in range(5):
        toy = Separable.draw(seed, layers=16 if name == "quantize" else 12)
        problem = toy.problem(seed, share=0.75 if name == "quantize" else 0.4)
        learned = best(problem, search(toy, make(name, problem), EVALUATIONS))
        drawn = best(problem, search(toy, Random(problem, DECIDES[name]), EVALUATIONS))
        gains.append(learned - drawn)
    assert np.mean(gains) > 0
    assert np.median(gains) > 0


def test_the_knapsack_is_near_the_optimum_when_sensitivity_tells_the_truth() -> None:
    toy = Separable.draw(3)
    problem = replace(toy.problem(3), sensitivity=toy.sensitivity(3, distortion=0.0))
    assert best(problem, search(toy, make("knapsack", problem), 1)) > toy.optimum(problem) - 0.005


@pytest.mark.parametrize("name", ["joint", "random", "knapsack", "bayesian"])
def test_with_an_accuracy_bound_latency_falls_while_accuracy_holds(name: str) -> None:
    toy = Separable.draw(1)
    reference = toy.evaluate(Policy())
    problem = replace(toy.problem(1), goal=Goal(reference, min_accuracy=0.8))
    seen = search(toy, make(name, problem), 30)
    meeting = [outcome.latency_ms for _, outcome in seen if problem.goal.met(outcome)]
    assert min(meeting) < 0.65 * reference.latency_ms


@pytest.mark.parametrize("reward", ["r3", *REWARDS])
def test_learners_take_every_reward(reward: str) -> None:
    toy = Separable.draw(0, layers=4)
    problem = replace(toy.problem(0), accuracy=lambda policy: toy.evaluate(policy).accuracy)
    assert len(search(toy, make("joint", problem, reward=reward), 14)) == 14


def test_published_constants_run_too() -> None:
    toy = Separable.draw(0, layers=4)
    assert len(search(toy, make("joint", toy.problem(0), faithful=True), 50)) == 50


def test_unknown_names_and_misplaced_options_are_refused() -> None:
    problem = Separable.draw(0).problem(0)
    with pytest.raises(UsageError, match="known: joint"):
        make("reinforce", problem)
    with pytest.raises(UsageError, match="does not learn"):
        make("random", problem, faithful=True)
