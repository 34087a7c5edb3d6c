"""What a pass is: a frozen dataclass whose fields are its options in Python, on the command line and in the text."""

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from galen.ir import Model
from galen.ir.clone import transaction
from galen.passes.fields import BOUND, CHILDREN, written
from galen.passes.kinds import apply_to

_RUNNING = "galen.transaction"
"""Key in a model's scratch memory that says: an enclosing pass already guards it."""


def bound(resource: str) -> Any:
    """Declare a field that the caller fills in rather than the text.

    Args:
        resource: `data`, `train_data`, `seed`, `shapes` or `limits`: what `Pass.bind` puts there.
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

    def __call__(self, model: Any, example: tuple[Any, ...] | None = None) -> Any:
        """Return the rewritten model in the form that `model` has; see `galen.passes.kinds.apply_to`."""
        return apply_to(self, model, example)

    def explain(self, model: Model, /) -> Iterator[str]:  # noqa: ARG002
        """Yield lines on what applying the pass to `model` will do and why; the model stays as it is."""
        yield from ()

    def bind(self, **resources: Any) -> Self:
        """Return this pass with its bound fields filled from `resources` (those it does not declare are ignored)."""
        wanted: dict[str, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if field.metadata.get(BOUND) in resources:
                wanted[field.name] = resources[field.metadata[BOUND]]
            elif field.name == CHILDREN:
                wanted[field.name] = tuple(child.bind(**resources) for child in getattr(self, CHILDREN))
        return dataclasses.replace(self, **wanted) if wanted else self  # type: ignore[type-var]

    def __str__(self) -> str:
        """Return the pass's text: `Pipeline.parse(str(p))` is a pipeline of `p`."""
        options = " ".join(written(self))
        children = getattr(self, CHILDREN, None)
        inside = "" if children is None else f"({','.join(map(str, children))})"
        return self.name + (f"{{{options}}}" if options else "") + inside


def _guarded(apply: Callable[[Any, Model], bool]) -> Callable[[Any, Model], bool]:
    """Make `apply` a transaction, unless it is called by a pass that already is one."""

    @functools.wraps(apply)
    def wrapper(self: Any, model: Model, /) -> bool:
        with guarded(model):
            return apply(self, model)

    return wrapper


@contextmanager
def guarded(model: Model) -> Iterator[None]:
    """Run the block as a transaction on `model`, or as part of the one that is already running."""
    if model.meta.get(_RUNNING) == id(model):  # a clone inherits the scratch memory, not the guard
        yield
        return
    model.meta[_RUNNING] = id(model)
    try:
        with transaction(model):
            yield
    finally:
        del model.meta[_RUNNING]


@contextmanager
def expendable(model: Model) -> Iterator[None]:
    """Run passes on `model` without transactions: for a copy that is thrown away when one of them fails."""
    model.meta[_RUNNING] = id(model)
    try:
        yield
    finally:
        del model.meta[_RUNNING]
