"""The state of a lowering: where every value is, and the calls so far."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from galen.backends.constants import Constants
from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.layout import FromImage, Move, ToImage
from galen.backends.kernels.permute import Permute
from galen.backends.lower.axes import VOLUME, image_axes
from galen.backends.lower.buffers import Buffers
from galen.backends.lower.homes import Home
from galen.backends.lower.places import ImagePlace, Layout, Place, contiguous
from galen.backends.lower.slices import channels_first, slices_first
from galen.backends.program import Call, Program
from galen.backends.target import Target
from galen.ir import GalenError, Model, Node, TensorType, Value
from galen.ir.edit import const_value
from galen.ir.shapes import static_shape

HALF, HALF_LANES = "float16", 8
"""fp16, and how many of its numbers are a vector: images of such have whole vectors of channels."""
FLOATS = ("float32", HALF)
"""Types that kernels compute in."""

NUMERIC = "fiub"
"""Kinds of types that the cores and the runtime know: not strings, complex numbers, nor what numpy lacks."""
Border = Callable[[Node, Value, Target], int]
"""Returns the border that a node will ask of one of its inputs."""


@dataclass
class Lowering(Buffers):
    """A network on its way to a `Program`. See the package's docstring for how rules use it."""

    model: Model
    target: Target
    borders: dict[str, Border]
    places: dict[Value, list[Place]] = field(default_factory=dict)
    deferred: dict[Value, Callable[[], None]] = field(default_factory=dict)
    absorbed: set[Node] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    homes: dict[Value, Home] = field(default_factory=dict)
    wholes: dict[Value, ImagePlace] = field(default_factory=dict)

    # -- calls --------------------------------------------------------------------------------------------------------

    def call(self, kernel: Kernel, args: Sequence[int], node: Node) -> None:
        """Append a call on behalf of `node`. `args` are buffers in the order of `kernel.args`."""
        found = [self.buffers[index] for index in args]
        if found != [spec.memory for spec in kernel.args]:
            raise ValueError(f"{node.name}: {kernel} takes {kernel.args}, not {found}")
        if not any(spec.nbytes for spec in kernel.args[-kernel.outputs :]):
            return  # nothing would be written
        self.calls.append(Call(kernel, tuple(args), node.name or "", node.op_type))

    def define(self, value: Value, layout: Layout) -> int:
        """Add a buffer that will hold `value`, and return it for the call that writes it.

        What is written into a wider image, or is that image, has its buffer already.
        """
        home = self.homes.get(value)
        whole = self.wholes.get(home.whole) if home else None
        if whole and isinstance(layout, Image) and layout.spec.memory == whole.layout.spec:
            buffer = whole.buffer
        else:
            buffer = self.buffer(layout.spec if isinstance(layout, Image) else layout)
        self.alias(value, buffer, layout)
        return buffer

    def alias(self, value: Value, buffer: int, layout: Layout) -> None:
        """Say that `value` is in a buffer that exists already."""
        place = ImagePlace(buffer, layout) if isinstance(layout, Image) else Place(buffer, layout)
        self.places.setdefault(value, []).append(place)

    def defer(self, value: Value, make: Callable[[], None]) -> None:
        """Let `make` define `value` when it is asked for."""
        self.deferred[value] = make

    def absorb(self, *nodes: Node) -> None:
        """Mark nodes as computed by a call of another one."""
        self.absorbed.update(nodes)

    # -- values -------------------------------------------------------------------------------------------------------

    def known(self, value: Value) -> bool:
        """Return whether `value` can be asked for now: computed, deferred or constant."""
        return value in self.places or value in self.deferred or const_value(value) is not None

    def shape(self, value: Value | None) -> tuple[int, ...]:
        """Return the shape of `value`, or raise GalenError."""
        shape = static_shape(value)
        if shape is None:
            raise GalenError("its shape is not known", where=f"value {value.name if value else None}")
        return shape

    def spec(self, value: Value | None) -> Spec:
        """Return shape and type of `value` as a dense buffer, or raise GalenError."""
        if value is None or value.dtype is None:
            raise GalenError("its type is not known", where=f"value {value.name if value else None}")
        if not isinstance(value.type, TensorType):
            raise GalenError(f"{value.type} cannot be lowered, only tensors can", where=f"value {value.name}")
        dtype = value.dtype.numpy()
        if dtype.kind not in NUMERIC:
            raise GalenError(f"type {dtype.name} cannot be lowered", where=f"value {value.name}", hint="cast it before")
        return Spec(self.shape(value), dtype.name)

    def readers(self, value: Value) -> list[Node]:
        """Return the nodes that read `value`."""
        return [use.node for use in value.uses()]

    def owner(self, value: Value) -> Node:
        """Return the node on whose behalf `value` is converted."""
        return value.producer() or self.readers(value)[0]

    def border(self, value: Value) -> int:
        """Return the widest border that the readers of `value` will ask for."""
        rules = ((self.borders.get(node.op_type), node) for node in self.readers(value))
        return max((rule(node, value, self.target) for rule, node in rules if rule), default=0)

    def is_image(self, value: Value | None) -> bool:
        """Return whether `value` has been written as an image."""
        value = self._made(value)
        return any(isinstance(place, ImagePlace) for place in self.places.get(value, []))

    def image(self, value: Value | None, border: int = 0) -> ImagePlace:
        """Return `value` `[n, c, h, w]` as an image with a border of at least `border`, converting it if need be."""
        value = self._made(value)
        images = [place for place in self.places[value] if isinstance(place, ImagePlace)]
        for place in images:
            if place.layout.border >= border:
                return place
        wanted = self.sink(value, border)
        if images:
            copy = Move(images[0].layout, wanted, (wanted.h, wanted.w, wanted.c))
            buffer = self._convert(value, copy, images[0].buffer, wanted)
        else:
            dense = self.view(slices_first(self, value), (wanted.n, wanted.c, wanted.h, wanted.w))
            buffer = self._convert(value, ToImage(wanted), dense, wanted)
        return ImagePlace(buffer, wanted)

    def sink(self, value: Value, border: int = 0) -> Image:
        """Return the image in which to write `value` `[n, c, h, w]`: with the border that its readers will ask for.

        If it has a home, that is channels of the image there.
        """
        home = self.homes.get(value)
        if home is None or border:
            return self._image_of(value, max(border, self.border(value)))
        whole = self._whole(home.whole).layout
        return whole if home.whole is value else whole.slice(home.first, self.shape(value)[1])

    def _image_of(self, value: Value, border: int) -> Image:
        n, c, h, w = image_axes(self.shape(value))
        dtype = self.spec(value).dtype
        return Image(n, h, w, c, border, HALF_LANES if dtype == HALF else 4, dtype)

    def _whole(self, value: Value) -> ImagePlace:
        """Return the image, without a border, into which others are written side by side."""
        if value not in self.wholes:
            image = self._image_of(value, 0)
            self.wholes[value] = ImagePlace(self.buffer(image.spec), image)
        return self.wholes[value]

    def dense(self, value: Value | None) -> int:
        """Return the buffer that holds `value` in ONNX's axis order, converting it if need be."""
        value = self._made(value)
        images = []
        for place in self.places[value]:
            if not isinstance(place, ImagePlace):
                return place.buffer
            images.append(place)
        image, spec = images[0], Spec(self.shape(value), images[0].layout.dtype)
        if len(spec.shape) == VOLUME and image.layout.c > 1:
            return channels_first(self, value, image.buffer, image.layout)
        if contiguous(image.layout):
            buffer = self.view(image.buffer, spec.shape)
            self.alias(value, buffer, spec)
            return buffer
        return self._convert(value, FromImage(image.layout), image.buffer, spec)

    def _convert(self, value: Value, kernel: Kernel, source: int, layout: Layout) -> int:
        """Define `value` in another layout and return its buffer."""
        buffer = self.define(value, layout)
        self.call(kernel, (source, self.view(buffer, kernel.args[-1].shape)), self.owner(value))
        return buffer

    def _made(self, value: Value | None) -> Value:
        """Return `value`, having seen to it that it has a place."""
        if value is None:
            raise GalenError("an input that the operator needs is missing")
        if value in self.places:
            return value
        if value in self.deferred:
            self.deferred.pop(value)()
        elif (array := const_value(value)) is not None:
            self.alias(value, self.constant(array), Spec(array.shape, array.dtype.name))
        else:
            raise GalenError("is read before it is computed", where=f"value {value.name}")
        return value

    # -- the result ---------------------------------------------------------------------------------------------------

    def program(self) -> Program:
        """Return what has been lowered, with the model's outputs in their own layout."""
        inputs = {str(value.name): self.places[value][0].buffer for value in self.fed()}
        fed = {*inputs.values()}
        outputs = {str(value.name): self._result(value, fed) for value in self.model.graph.outputs}
        used = {index for call in self.calls for index in call.args} | {*outputs.values()}
        return Program(
            self.target,
            tuple(self.buffers),
            Constants({index: make for index, make in self.constants.items() if index in used}),
            inputs,
            outputs,
            tuple(self.calls),
            self.views,
        )

    def _result(self, value: Value, fed: set[int]) -> int:
        """Return the buffer of an output: one of its own, never the memory of an input or a constant."""
        base = buffer = self.dense(value)
        while base in self.views:
            base = self.views[base]
        if base not in fed and base not in self.constants:
            return buffer
        spec = self.buffers[buffer]
        copy, flat = self.buffer(spec), (prod(spec.shape),)
        kernel = Permute(flat, (0,), spec.dtype)
        self.calls.append(Call(kernel, (self.view(buffer, flat), self.view(copy, flat)), str(value.name), "Identity"))
        return copy

    def fed(self) -> Iterator[Value]:
        """Yield the inputs that the caller feeds."""
        return (v for v in self.model.graph.inputs if v.name not in self.model.graph.initializers)
