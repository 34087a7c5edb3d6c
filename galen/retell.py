"""From a journal to what the report draws; works on a search that is still running or was interrupted, too."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from galen.agents.sensitivity import Sensitivity
from galen.ir import GalenError
from galen.journal import Episode, Journal
from galen.passes.policy import FP32, Keep, Policy
from galen.report import data


def run_of(journal: Journal) -> data.Run:
    """Return the search that `journal` tells of.

    Raises:
        GalenError: it ended before its baseline was known.
    """
    if journal.fact("layers") is None:
        raise GalenError("the search ended before its first episode", where=str(journal.path))
    options, goal, result = journal.fact("options"), journal.fact("goal"), journal.fact("result")
    episodes = journal.episodes()
    winner = _winner(journal, episodes)
    return data.Run(
        title=journal.path.absolute().parent.name,
        model=options["model"],
        target=options["target"],
        runner=journal.fact("runner"),
        kind=journal.fact("kind"),
        clock=journal.fact("clock"),
        agent=options["agent"],
        seed=options["seed"],
        objective=journal.fact("objective"),
        max_latency_ms=goal["max_latency_ms"],
        min_accuracy=goal["min_accuracy"],
        met=result["met"] if result else winner is not None and winner.met,
        seconds=result["seconds"] if result else (episodes[-1].elapsed if episodes else 0.0),
        baseline=data.Figures(**journal.fact("baseline")),
        best=data.Figures(**result["best"]) if result else _figures(winner),
        best_episode=winner.number if winner else None,
        episodes=tuple(map(_episode, episodes)),
        layers=_layers(journal, winner),
        command=journal.fact("command"),
        environment=journal.fact("environment"),
    )


def _winner(journal: Journal, episodes: tuple[Episode, ...]) -> Episode | None:
    """Return the episode of the winner; while there is none, the best one that meets the goal."""
    if chosen := journal.fact("winner"):
        return episodes[int(chosen["episode"])]
    met = [episode for episode in episodes if episode.met]
    return max(met, key=lambda e: e.reward or 0.0, default=None)


def _figures(episode: Episode | None) -> data.Figures | None:
    if episode is None or episode.outcome.error is not None:
        return None
    outcome = episode.outcome
    return data.Figures(
        outcome.accuracy, outcome.latency_ms, outcome.bytes, samples=outcome.samples, raced=outcome.raced
    )


def _episode(episode: Episode) -> data.Episode:
    return data.Episode(
        index=episode.number,
        policy=episode.policy,
        figures=_figures(episode),
        reward=episode.reward,
        feasible=episode.met,
        seconds=episode.elapsed,
        error=episode.outcome.error,
    )


def _layers(journal: Journal, winner: Episode | None) -> tuple[data.Layer, ...]:
    sensitivity = Sensitivity.from_json(journal.fact("sensitivity"))
    before = _timed(journal.fact("baseline_layers"))
    after = _timed([asdict(layer) for layer in winner.layers]) if winner else {}
    policy = winner.policy if winner else Policy()
    return tuple(_layer(entry, policy, before, after, sensitivity) for entry in journal.fact("layers"))


def _layer(
    entry: Mapping[str, Any], policy: Policy, before: "_Times", after: "_Times", sensitivity: Sensitivity
) -> data.Layer:
    name, groups = entry["name"], entry["outputs"]
    outputs, inputs = (
        _share(groups, entry["out_channels"], policy),
        _share(entry["inputs"], entry["in_channels"], policy),
    )
    curves = {
        "sparsity": next((sensitivity.sparsity[group] for group in groups if group in sensitivity.sparsity), ()),
        "activation_bits": sensitivity.activation.get(name, ()),
        "weight_bits": sensitivity.weight.get(name, ()),
    }
    return data.Layer(
        name=name,
        op=entry["op"],
        macs_before=entry["macs"],
        macs_after=entry["macs"] * outputs * inputs,
        group=", ".join(groups),
        keep=round(entry["out_channels"] * outputs),
        of=entry["out_channels"],
        bits=policy.layers.get(name, FP32),
        latency_before=before[name][0] if name in before else None,
        latency_after=after[name][0] if name in after else None,
        kernel_before=before[name][1] if name in before else "",
        kernel_after=after[name][1] if name in after else "",
        sensitivity={parameter: curve for parameter, curve in curves.items() if curve},
        frozen="" if groups else "its output channels cannot be cut",
    )


def _share(channels: Mapping[str, int], total: int, policy: Policy) -> float:
    """Return the share of an axis that remains; see `Space.share`."""
    kept = {name: policy.groups.get(name, Keep(1, 1)) for name in channels}
    return 1 - sum(count * (1 - kept[name].keep / kept[name].of) for name, count in channels.items()) / max(total, 1)


_Times = dict[str, tuple[float, str]]
"""Milliseconds and kernel by layer."""


def _timed(layers: list[dict[str, Any]]) -> _Times:
    """Add up the calls of each layer; its kernel is that of the longest."""
    times: _Times = {}
    for layer in sorted(layers, key=lambda layer: -layer["latency_ms"]):
        total, kernel = times.get(layer["name"], (0.0, layer["kernel"]))
        times[layer["name"]] = (total + layer["latency_ms"], kernel)
    return times
