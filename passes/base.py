"""What a pass is: a frozen dataclass whose fields are its options in Python, on the command line and in the text."""

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from galen.ir import Model
from galen.ir.clone import transaction

BOUND = "galen.bound"

_RUNNING = "galen.transaction"
"""Key in a model's scratch memory that says: an enclosing pass already guards it."""


def bound(resource: str) -> Any:
    """Declare a field that the caller fills in rather than the text.

    Args:
        resource: `data`, `train_data`, `seed` or `shapes`: what `Pass.bind` puts there.
    """
    return dataclasses.field(default=None, repr=False, compare=False, kw_only=True, metadata={BOUND: resource})


class Pass(ABC):
    """A graph rewrite. Subclass it as a frozen dataclass: `class Dce(Pass, name="eliminate-dead-code")`.

    Attributes:
        name: the pass's name in pipeline text; passing `name=` to the class registers it.
        tolerance: largest relative change of the model's outputs that the pass may cause, None: it changes them.
    """

    name: ClassVar[str] = ""
    tolerance: ClassVar[float | None] = None
    registry: ClassVar[dict[str, type["Pass"]]] = {}

    def __init_subclass__(cls, /, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name:
            cls.name = name
            Pass.registry[name] = cls
        if "apply" in cls.__dict__:
            cls.apply = _guarded(cls.__dict__["apply"])  # type: ignore[method-assign]

    @abstractmethod
    def apply(self, model: Model, /) -> bool:
        """Rewrite `model` in place and return whether anything changed.

        Whatever a subclass writes here runs as a transaction: after an error the model is as it was.
        """

    def bind(self, **resources: Any) -> "Pass":
        """Return this pass with its bound fields filled from `resources` (those it does not declare are ignored)."""
        wanted = {
            f.name: resources[f.metadata[BOUND]]
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
            if f.metadata.get(BOUND) in resources
        }
        return dataclasses.replace(self, **wanted) if wanted else self  # type: ignore[type-var]


def _guarded(apply: Callable[[Any, Model], bool]) -> Callable[[Any, Model], bool]:
    """Make `apply` a transaction, unless it is called by a pass that already is one."""

    @functools.wraps(apply)
    def guarded(self: Any, model: Model, /) -> bool:
        if model.meta.get(_RUNNING) == id(model):  # a clone inherits the scratch memory, not the guard
            return apply(self, model)
        model.meta[_RUNNING] = id(model)
        try:
            with transaction(model):
                return apply(self, model)
        finally:
            del model.meta[_RUNNING]

    return guarded
