"""The journal of a search (SQLite): every episode, and the state to go on from. All else is drawn from it.

An episode and the state after it are written in one transaction: killed at any point, only the running episode is lost.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from galen.agents.searcher import Outcome
from galen.backends.latency import LayerLatency
from galen.codec import pack, unpack
from galen.ir import GalenError
from galen.passes.policy import Policy

VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS episodes (
    number INTEGER PRIMARY KEY, policy TEXT NOT NULL,
    accuracy REAL, latency_ms REAL, bytes INTEGER, samples INTEGER, raced INTEGER, error TEXT,
    met INTEGER NOT NULL, reward REAL, elapsed REAL NOT NULL, seconds TEXT NOT NULL, layers TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 0), data BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Episode:
    """One evaluated policy.

    Attributes:
        number: from 0.
        met: whether the goal's bounds hold.
        reward: what it was worth to a learner, None after an error.
        elapsed: seconds from the start of the search to the end of this episode, over all its runs.
        seconds: where the episode's time went, by phase.
        layers: latency by layer.
    """

    number: int
    policy: Policy
    outcome: Outcome
    met: bool
    reward: float | None
    elapsed: float
    seconds: Mapping[str, float] = field(default_factory=dict)
    layers: tuple[LayerLatency, ...] = ()


class Journal:
    """An open journal.

    Raises:
        GalenError: the file is not a journal of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._connection = sqlite3.connect(path)
            self._connection.execute("PRAGMA journal_mode=WAL")
            with self._connection:
                self._connection.executescript(_SCHEMA)
            if self.fact("version") is None:
                self.record("version", VERSION)
        except sqlite3.Error as error:
            raise GalenError(f"not a journal: {error}", where=str(path)) from error
        if self.fact("version") != VERSION:
            raise GalenError(f"journal version {self.fact('version')} is not supported", where=str(path))

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, create: bool = False) -> Iterator["Journal"]:
        """Open a journal and close it at the end.

        Raises:
            GalenError: there is none and none is to be created.
        """
        if not create and not path.is_file():
            raise GalenError("no journal", where=str(path), hint="is this the folder of a search?")
        journal = cls(path)
        with closing(journal._connection):
            yield journal

    def record(self, key: str, value: Any) -> None:
        """Write down a JSON value that holds for the whole search.

        Raises:
            GalenError: it cannot be written, see `append`.
        """
        with self._writing():
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, json.dumps(value)))

    def fact(self, key: str) -> Any:
        """Return what was recorded under `key`, None: nothing."""
        row = self._connection.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def append(self, episode: Episode, state: dict[str, Any]) -> None:
        """Write an episode and the state after it, both or neither.

        Raises:
            GalenError: the disk is full, say; what was written before is whole, and the search can go on from there.
        """
        outcome = episode.outcome
        figures = (outcome.accuracy, outcome.latency_ms, outcome.bytes, outcome.samples, outcome.raced)
        row = (
            *(episode.number, json.dumps(episode.policy.to_json())),
            *(figures if outcome.error is None else (None,) * len(figures)),
            outcome.error,
            *(episode.met, episode.reward, episode.elapsed, json.dumps(dict(episode.seconds))),
            json.dumps([asdict(layer) for layer in episode.layers]),
        )
        with self._writing():
            self._connection.execute(f"INSERT INTO episodes VALUES ({','.join('?' * len(row))})", row)  # noqa: S608
            self._connection.execute("INSERT OR REPLACE INTO state VALUES (0, ?)", (pack(state),))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._connection:
                yield
        except sqlite3.OperationalError as error:
            hint = "make room, then --resume"
            raise GalenError(f"cannot be written: {error}", where=str(self.path), hint=hint) from error

    def state(self) -> dict[str, Any] | None:
        """Return the state after the last episode, None before the first."""
        row = self._connection.execute("SELECT data FROM state").fetchone()
        return None if row is None else unpack(row[0])

    def episodes(self) -> tuple[Episode, ...]:
        """Return all episodes in order."""
        rows = self._connection.execute(
            "SELECT number, policy, accuracy, latency_ms, bytes, samples, raced, error,"
            " met, reward, elapsed, seconds, layers"
            " FROM episodes ORDER BY number"
        )
        return tuple(map(_episode, rows))


def _episode(row: tuple[Any, ...]) -> Episode:
    number, policy, accuracy, latency_ms, size, samples, raced, error, met, reward, elapsed, seconds, layers = row
    return Episode(
        number=number,
        policy=Policy.parse(policy),
        outcome=Outcome(error=error)
        if error is not None
        else Outcome(accuracy, latency_ms, size, samples, bool(raced)),
        met=bool(met),
        reward=reward,
        elapsed=elapsed,
        seconds=json.loads(seconds),
        layers=tuple(LayerLatency(**layer) for layer in json.loads(layers)),
    )
