"""From `--workers` to a pool."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from galen.evaluate import Evaluator
from galen.options import SearchOptions
from galen.workers.choice import WorkerChoice
from galen.workers.cluster import connected
from galen.workers.crew import Crew, Hand
from galen.workers.pool import Inline, Pool
from galen.workers.process import WorkerProcess


@contextmanager
def hired(options: SearchOptions, evaluator: Evaluator, before: int | None) -> Iterator[Pool]:
    """Lend the pool that the options ask for; at the end, however it comes, no worker is left.

    Args:
        options: of the search.
        evaluator: of this process.
        before: how many workers the search had when it began; None: it begins.

    Raises:
        GalenError: a cluster is at fault.
    """
    choice = WorkerChoice.parse(options.workers)
    if choice.is_inline:
        yield Inline(evaluator)
    elif choice.cluster is None:
        size = choice.count or 1
        with _crew(size, partial(WorkerProcess, options, size)) as crew:
            yield crew
    else:
        with (
            connected(choice.cluster, options) as cluster,
            _crew(choice.count or before or cluster.processors, cluster.hire) as crew,
        ):
            yield crew


def _crew(size: int, hire: Callable[[int], Hand]) -> "closing[Crew]":
    return closing(Crew(size, hire))
