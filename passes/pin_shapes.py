"""Make dynamic inputs static."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from galen.ir import Model, UsageError
from galen.ir.shapes import Shapes, parse_shape, pin
from galen.passes.base import Pass, bound


@dataclass(frozen=True)
class PinShapes(Pass, name="pin-shapes"):
    """Replace dynamic dimensions of the inputs by numbers, for good; an unset batch becomes 1.

    Attributes:
        shapes: input name -> shape, such as {"input":"1x3x32x32"}; others are taken from --shape.
    """

    shapes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    given: Shapes | None = bound("shapes")

    tolerance = 0.0

    def __post_init__(self) -> None:
        for name, text in self.shapes.items():
            try:
                parse_shape(f"{name}={text}")
            except UsageError as error:
                raise UsageError(str(error), where="shapes") from error

    def apply(self, model: Model, /) -> bool:
        """Return whether a dimension was dynamic."""
        own = dict(parse_shape(f"{name}={text}") for name, text in self.shapes.items())
        return pin(model, {**(self.given or {}), **own})
