"""Runners by name, as the command line knows them."""

from galen.backends.local_runner import LocalRunner, Plan
from galen.backends.runner import EmulatorRunner, Runner
from galen.backends.target import Target
from galen.ir.errors import UsageError

NAMES = ("emulator", "local", "rpc")


def open_runner(name: str | None, target: Target, *, repeats: int | None = None) -> Runner:
    """Return the runner called `name`; None: `local` for the host, else `emulator`.

    Args:
        repeats: how many measurements a runner takes that measures, None: its own default.

    Raises:
        GalenError: the runner cannot time code for `target`.
        UsageError: there is no such runner.
    """
    name = name or default_runner(target.name)
    if name == "emulator":
        return EmulatorRunner(target)
    if name == "local":
        return LocalRunner(target, Plan() if repeats is None else Plan(repeats=repeats))
    raise UsageError(f"unknown runner {name!r}", where="--runner", hint=f"known: {', '.join(NAMES)}")


def default_runner(target: str) -> str:
    """Return the name of the runner that a target is timed with unless another is asked for."""
    return "local" if target == "host" else "emulator"
