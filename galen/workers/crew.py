"""A pool of workers that may die: each death costs one evaluation, which a new worker repeats once."""

from collections.abc import Callable, Sequence
from typing import Protocol

from galen.agents.searcher import Outcome
from galen.evaluate import Evaluation
from galen.passes.policy import Policy
from galen.workers import wire
from galen.workers.pool import Awaited

ATTEMPTS = 2


class Hand(Protocol):
    """One worker."""

    def send(self, request: bytes) -> None:
        """Hand over a request; returns at once."""
        ...

    def receive(self) -> bytes | None:
        """Wait for the reply to the request, None: the worker died."""
        ...

    def stop(self) -> None:
        """Ask the worker to end, and wait for none of it; harmless when it is dead."""
        ...

    def end(self) -> None:
        """See to it that nothing of the worker is left."""
        ...


class Crew:
    """A pool of `size` workers; each begins when it is first needed.

    Args:
        hire: starts the worker of a place, 0 to `size` - 1.
    """

    def __init__(self, size: int, hire: Callable[[int], Hand]) -> None:
        self.size, self._hire = size, hire
        self._places: dict[int, Hand] = {}
        self._free = list(reversed(range(size)))

    def submit(self, policy: Policy, rivals: Sequence[Outcome]) -> Awaited:
        """Hand the evaluation to a free worker."""
        place, request = self._free.pop(), wire.request(policy, rivals)
        self._send(place, request)
        return lambda: self._result(place, request)

    def _send(self, place: int, request: bytes) -> None:
        if place not in self._places:
            self._places[place] = self._hire(place)
        self._places[place].send(request)

    def _result(self, place: int, request: bytes) -> Evaluation:
        for attempt in range(ATTEMPTS):
            if attempt:
                self._send(place, request)
            reply = self._places[place].receive()
            if reply is not None:
                self._free.append(place)
                return wire.read_reply(reply)
            self._places.pop(place).end()
        self._free.append(place)
        return Evaluation(Outcome(error=f"its worker died, {ATTEMPTS} times"))

    def close(self) -> None:
        """End all workers, also those at work."""
        for hand in self._places.values():
            hand.stop()
        for hand in self._places.values():
            hand.end()
        self._places.clear()
