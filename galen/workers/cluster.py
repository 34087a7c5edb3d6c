"""Workers on the machines of a Ray cluster: actors that do the same job as the processes of one machine.

Every machine has Galen of the driver's version, and model and data under the driver's paths.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from galen.ir import GalenError
from galen.options import SearchOptions
from galen.workers import wire
from galen.workers.job import Job

_PATIENCE = 120.0
"""Seconds that a cluster may take to start a worker."""


class RemoteJob:
    """An actor: a job that begins when it is told which of its machine's processors is its own."""

    def machine(self) -> tuple[str, str]:
        """Return where this is, and Galen's version there."""
        import ray  # noqa: PLC0415

        return ray.get_runtime_context().get_node_id(), version("galen")

    def begin(self, options: dict[str, Any], rank: int) -> None:
        """Keep to one processor: the `rank`-th, counted round and round."""
        cores = sorted(os.sched_getaffinity(0))
        self._job = Job(wire.read_options(options), [cores[rank % len(cores)]])

    def answer(self, request: bytes) -> bytes:
        """Return the reply."""
        return self._job(request)


@dataclass
class RayHand:
    """A hand of `galen.workers.crew`: an actor, as long as it lives."""

    actor: Any
    _reply: Any = None

    def send(self, request: bytes) -> None:
        """Call the actor."""
        self._reply = self.actor.answer.remote(request)

    def receive(self) -> bytes | None:
        """Return the reply, None: the actor or its machine died."""
        import ray  # noqa: PLC0415

        try:
            reply: bytes = ray.get(self._reply)
        except ray.exceptions.RayActorError:
            return None
        return reply

    def stop(self) -> None:
        """Kill the actor."""
        import ray  # noqa: PLC0415

        ray.kill(self.actor)

    def end(self) -> None:
        """Leave the rest to Ray, which removes what is left of an actor."""


@dataclass
class Cluster:
    """A connection to a cluster.

    Attributes:
        processors: of all its machines.
    """

    address: str
    options: SearchOptions
    processors: int
    _ranks: Counter[str] = field(init=False, default_factory=Counter)

    def hire(self, _place: int) -> RayHand:
        """Start an actor on a free processor of any machine.

        Raises:
            GalenError: there is none, or Galen is another one there.
        """
        import ray  # noqa: PLC0415

        actor = ray.remote(RemoteJob).options(num_cpus=1).remote()
        try:
            node, there = ray.get(actor.machine.remote(), timeout=_PATIENCE)
        except ray.exceptions.GetTimeoutError as error:
            hint = f"it has {self.processors}: ask for fewer workers"
            raise GalenError(f"no free processor for {_PATIENCE:.0f} s", where=self.address, hint=hint) from error
        if there != version("galen"):
            hint = "install the same everywhere"
            raise GalenError(f"Galen {there} there, {version('galen')} here", where=self.address, hint=hint)
        actor.begin.remote(wire.options(self.options), self._ranks[node])
        self._ranks[node] += 1
        return RayHand(actor)


@contextmanager
def connected(address: str, options: SearchOptions) -> Iterator[Cluster]:
    """Lend a connection to the cluster at `address`, `ray://HOST:PORT`.

    Raises:
        GalenError: Ray is not installed, or does not answer there.
    """
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise GalenError("Ray is not installed", where="--workers", hint="pip install 'galen[farm]'") from error
    try:
        ray.init(address, log_to_driver=False)
    except ConnectionError as error:
        raise GalenError("no Ray cluster answers", where=address, hint="is its client server running?") from error
    try:
        yield Cluster(address, _anywhere(options), int(ray.cluster_resources().get("CPU", 0)))
    finally:
        ray.shutdown()


def _anywhere(options: SearchOptions) -> SearchOptions:
    """Return the options with absolute paths: workers begin in other folders."""

    def absolute(spec: str) -> str:
        return str(Path(spec).absolute()) if Path(spec).exists() else spec

    return replace(
        options,
        model=options.model.absolute(),
        data=absolute(options.data),
        train_data=None if options.train_data is None else absolute(options.train_data),
        target=absolute(options.target),
    )
