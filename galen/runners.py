"""Runners by the name that `--runner` takes."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from galen.backends.runner import EmulatorRunner, Runner
from galen.backends.target import Target
from galen.backends.targets import find
from galen.ir import UsageError

if TYPE_CHECKING:
    from galen.backends.rpc_runner import Connection

NAMES = ("emulator", "local", "rpc")


@dataclass(frozen=True)
class RunnerOptions:
    """Where a model is run.

    Attributes:
        name: one of `NAMES`; None: `local` for the host, else `emulator`.
        threads: of one inference.
        runs: measurements, where time is real.
        tracker, key: host and port of a tracker, and the devices to ask it for.
        device: host and port of one device.
    """

    name: str | None = None
    threads: int = 1
    runs: int = 10
    tracker: str | None = None
    key: str | None = None
    device: str | None = None

    def chosen(self, target: Target) -> str:
        """Return the runner's name, the default where none was given."""
        return self.name or ("local" if target.name == "host" else "emulator")

    def target(self, name: str) -> Target:
        """Return the target of that name, or JSON file, with code for as many threads.

        Raises:
            GalenError: see `galen.backends.targets.find`.
        """
        return replace(find(name), threads=self.threads)

    def open(self, target: Target) -> Runner:
        """Return the runner.

        Raises:
            UsageError: there is none of that name, or it lacks an option.
            GalenError: it does not run code for `target`.
        """
        name = self.chosen(target)
        if name == "emulator" and self.threads > 1:
            text = "the emulator models one core, and one thread"
            raise UsageError(text, where=f"--threads {self.threads}", hint="--runner rpc or local times several")
        if name == "emulator":
            return EmulatorRunner(target)
        if name == "local":
            from galen.backends.local_runner import LocalRunner, Plan  # noqa: PLC0415

            return LocalRunner(target, Plan(repeats=self.runs))
        if name == "rpc":
            from galen.backends.rpc_runner import RpcRunner  # noqa: PLC0415

            return RpcRunner(target, self._connection(), self.runs)
        raise UsageError(f"unknown runner {name!r}", where="--runner", hint=f"known: {', '.join(NAMES)}")

    def _connection(self) -> "Connection":
        """Return where the device is that the options name."""
        from galen.backends.rpc_runner import Connection  # noqa: PLC0415

        if self.device is not None:
            return Connection(self.device)
        if self.tracker is None or self.key is None:
            raise UsageError("no device is named", where="--runner rpc", hint="--device H:P, or --tracker H:P --key K")
        return Connection(self.tracker, self.key)
