"""The page: self-contained, everything in it, nothing of the data able to break out of it."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from galen.report.data import Run
from galen.report.page import render, write

MakeRun = Callable[..., Run]


def test_refers_to_nothing_outside_itself(a_run: MakeRun) -> None:
    page = render([a_run()])
    assert not re.findall(r"""(?:src|href)\s*=|@import|url\(|https?://""", page)
    assert "default-src 'none'" in page


def test_shows_every_section_of_a_finished_search(a_run: MakeRun) -> None:
    page = render([a_run()])
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Accuracy against latency",
        "Reward",
        "Policy per layer",
        "Where the time went",
        "Layer by layer",
        "Sensitivity",
        "Episodes without a result",
        "How to reproduce",
    ]


def test_draws_one_dot_per_evaluated_episode_and_the_failures_as_text(a_run: MakeRun) -> None:
    run = a_run()
    page = render([run])
    tips = re.findall(r'class="dot [^"]*" [^>]*data-tip="joint, episode (\d+)\n', page)
    evaluated = [e.index for e in run.episodes if e.figures]
    assert sorted(map(int, tips)) == sorted(2 * evaluated + evaluated)  # the front, and both panels of the reward
    assert "7: out of memory" in page


def test_an_estimated_accuracy_is_drawn_as_one_and_says_of_how_many_samples(a_run: MakeRun) -> None:
    run = a_run()
    slow = max((e for e in run.episodes if e.figures), key=lambda e: e.figures.latency_ms if e.figures else 0)
    assert slow.figures is not None
    raced = replace(slow, figures=replace(slow.figures, accuracy=0.1, samples=300, raced=True))
    others = [replace(e, figures=e.figures and replace(e.figures, samples=1000)) for e in run.episodes if e is not slow]
    page = render([replace(run, episodes=(*others, raced))])
    assert len(re.findall(r'class="dot raced run-0" [^>]*about 10\.00 %: stopped after 300 samples', page)) == 1
    assert "scoring stopped" in page
    assert " % of 1000 samples\n" in page
    assert "scoring stopped" not in render([run])


def test_names_from_a_model_cannot_become_markup(a_run: MakeRun) -> None:
    run = a_run()
    nasty = replace(run.layers[1], name='"><script>alert(1)</script>', kernel_after="<b>")
    page = render([replace(run, layers=(run.layers[0], nasty), model="<img>", command="a && b <c>")])
    assert "<script>alert" not in page
    assert "<img>" not in page
    assert "a &amp;&amp; b &lt;c&gt;" in page


def test_a_search_without_any_result_yet_still_has_a_page(a_run: MakeRun) -> None:
    page = render([replace(a_run(), best=None, best_episode=None, episodes=(), layers=(), met=False)])
    assert "No policy has been evaluated yet" in page


def test_a_network_whose_layers_were_not_timed_apart_has_no_waterfall(a_run: MakeRun) -> None:
    run = a_run()
    untimed = tuple(replace(layer, latency_before=None, latency_after=None, sensitivity={}) for layer in run.layers)
    page = render([replace(run, layers=untimed)])
    assert "Where the time went" not in page
    assert "Sensitivity" not in page
    assert "Layer by layer" in page


def test_compared_runs_share_the_axes_and_stand_in_one_table(a_run: MakeRun) -> None:
    page = render([a_run(), a_run("random", 1, "resnet20-random")])
    assert page.count('class="stairs') == 2
    assert re.search(r"<td>random\s*<td>1", page)
    assert page.count("Policy per layer") == 2


@pytest.mark.parametrize("existing", [None, "old"])
def test_is_written_whole(a_run: MakeRun, tmp_path: Path, existing: str | None) -> None:
    path = tmp_path / "report.html"
    if existing:
        path.write_text(existing)
    write([a_run()], path)
    assert path.read_text().rstrip().endswith("</html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
