"""Workers as the user names them: `4`, `4@ray://HOST:PORT`, `ray://HOST:PORT`."""

import re
from dataclasses import dataclass

from galen.ir import UsageError

_NUMBER, _CLUSTER = r"(?P<count>[1-9]\d{0,3})", r"(?P<cluster>ray://[^\s/@]+:\d{1,5})"
_FORMS = (_NUMBER, _CLUSTER, f"{_NUMBER}@{_CLUSTER}")


@dataclass(frozen=True)
class WorkerChoice:
    """How many evaluate candidates, and where.

    Attributes:
        count: None: as many as the cluster has processors.
        cluster: address of a Ray cluster, None: this machine.
    """

    count: int | None
    cluster: str | None

    @classmethod
    def parse(cls, text: str) -> "WorkerChoice":
        """Read a number, the address of a cluster, or both.

        Raises:
            UsageError: it is neither.
        """
        for form in _FORMS:
            if match := re.fullmatch(form, text):
                found = match.groupdict()
                return cls(int(found["count"]) if found.get("count") else None, found.get("cluster"))
        hint = "a number, ray://HOST:PORT, or both as 4@ray://HOST:PORT"
        raise UsageError(f"{text!r} names no workers", where="--workers", hint=hint)

    @property
    def is_inline(self) -> bool:
        """Whether candidates are evaluated by the process that searches."""
        return self.count == 1 and self.cluster is None
