"""Training of a candidate towards the original's outputs and the labels: a few steps, or whole epochs."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from galen.ir import GalenError, Model, Samples
from galen.passes.recover.augmentation import crop_and_flip
from galen.passes.recover.teacher import Teacher

if TYPE_CHECKING:
    import torch
    from torch import Tensor, fx

_WARM_UP = 0.05


@dataclass(frozen=True)
class Recipe:
    """Constants of a training run; the defaults are tuned on ResNet-20 with CIFAR-10, for one to ten epochs.

    Attributes:
        learning_rate: peak, reached after 5 % of the steps, then a cosine down to 0 (Loshchilov, Hutter 2017).
        distillation: share of the loss that compares with the original, 1 without labels.
        temperature: of that comparison (Hinton, Vinyals, Dean 2015, section 2).
        clip: largest norm of the gradient: damaged networks start with huge ones.
    """

    batch: int = 128
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    distillation: float = 0.9
    temperature: float = 4.0
    clip: float = 2.0


@dataclass(frozen=True)
class Progress:
    """Where a training run is: `step` of `steps`, and the loss of that step."""

    step: int
    steps: int
    loss: float


Report = Callable[[Progress], None]
FLOAT = Recipe()
QUANTIZED = Recipe(learning_rate=0.02, weight_decay=0.0, clip=1.0)
"""Weights near their integers need small steps, and BatchNorm cannot be put in."""


def distill(
    candidate: Model,
    reference: Model,
    samples: Samples,
    steps: int,
    generator: np.random.Generator,
    *,
    recipe: Recipe | None = None,
    report: Report | None = None,
) -> None:
    """Take `steps` optimiser steps towards the original's outputs, on batches drawn at random, in place.

    Args:
        candidate: pruned, quantized (its integer weights are trained through fake quantization) or both.
        reference: the original.
        samples: with labels or without.
        steps: number of batches.
        generator: what draws them.
        recipe: default: one for float weights, or one for integer weights where `candidate` has any.
        report: called after every step.

    Raises:
        GalenError: an operator cannot be trained, or the loss is not finite.
    """
    run = _Run(steps, recipe or _recipe(candidate), None, report, generator)
    draws = (generator.integers(0, len(samples), run.recipe.batch) for _ in range(steps))
    run.train(candidate, reference, samples, draws)


def finetune(
    candidate: Model,
    train: Samples,
    epochs: float,
    generator: np.random.Generator,
    *,
    reference: Model | None = None,
    augment: bool = False,
    recipe: Recipe | None = None,
    report: Report | None = None,
) -> None:
    """Train `candidate` in place for whole passes over `train`, each in another order.

    Args:
        candidate: see `distill`.
        train: with labels, unless there is a reference.
        epochs: passes over `train`; parts count.
        generator: order and augmentation.
        reference: the original, whose outputs are learnt beside the labels.
        augment: shift and mirror the images (only where the mirror image means the same).
        recipe, report: see `distill`.

    Raises:
        GalenError: neither labels nor reference, an operator that cannot be trained, or a loss that is not finite.
    """
    recipe = recipe or _recipe(candidate)
    steps = steps_of(epochs, len(train), recipe)
    run = _Run(steps, recipe, crop_and_flip if augment else None, report, generator)
    run.train(candidate, reference, train, _shuffled(len(train), recipe.batch, steps, generator))


def steps_of(epochs: float, samples: int, recipe: Recipe) -> int:
    """Return how many steps `finetune` takes."""
    return max(int(epochs * (samples // recipe.batch)), 1)


def _recipe(candidate: Model) -> Recipe:
    return QUANTIZED if any(node.op_type == "DequantizeLinear" for node in candidate.graph) else FLOAT


def _shuffled(count: int, batch: int, steps: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the positions of the samples of `steps` batches, every sample once before any comes again."""
    size = min(batch, count)
    while steps > 0:
        order = generator.permutation(count)
        for start in range(0, count - size + 1, size):
            if steps > 0:
                yield order[start : start + size]
                steps -= 1


@dataclass(frozen=True)
class _Run:
    """Everything about one training run but the models and the batches."""

    steps: int
    recipe: Recipe
    augment: "Callable[[Tensor, torch.Generator], Tensor] | None"
    report: Report | None
    generator: np.random.Generator

    def train(self, candidate: Model, reference: Model | None, samples: Samples, draws: Iterator[np.ndarray]) -> None:
        """Train on the batches of these positions and write the weights back."""
        from galen.ir.fx import to_fx, update_weights  # noqa: PLC0415
        from galen.ir.fx.normalise import insert_batchnorm, remove_batchnorm  # noqa: PLC0415

        module, teacher = to_fx(candidate), None if reference is None else Teacher(to_fx(reference), len(samples))
        lessons = self._lessons(samples, draws, teacher)
        first = next(lessons)
        inserted = insert_batchnorm(module.eval(), first.x)
        optimizer = _optimizer(module.train(), self.recipe)
        for step, lesson in enumerate(chain([first], lessons), 1):
            loss = _loss(module, lesson, self.recipe)
            if not loss.isfinite():
                raise GalenError(f"the loss is not finite at step {step}", hint="a smaller learning rate")
            _step(optimizer, loss, self.recipe, step / self.steps)
            if self.report is not None:
                self.report(Progress(step, self.steps, loss.item()))
        remove_batchnorm(module.eval(), inserted)
        update_weights(candidate, module)

    def _lessons(self, samples: Samples, draws: Iterable[np.ndarray], teacher: Teacher | None) -> "Iterator[_Lesson]":
        import torch  # noqa: PLC0415

        from galen.ir.fx.visit import tensors  # noqa: PLC0415

        random = torch.Generator().manual_seed(int(self.generator.integers(2**62)))
        for draw in draws:
            batch = samples.at(draw)
            x = tuple(_contiguous(t) for t in tensors(batch))
            wanted = None
            if self.augment is not None:
                x = tuple(_contiguous(self.augment(t, random)) if t.dim() == 4 else t for t in x)
                wanted = None if teacher is None else teacher.outputs(x)
            elif teacher is not None:
                wanted = teacher(draw, x)
            yield _Lesson(x, batch.labels, wanted)


class _Lesson(NamedTuple):
    """Inputs of a batch, its labels, and the original's outputs, where there are any."""

    x: "tuple[Tensor, ...]"
    labels: np.ndarray | None
    wanted: "tuple[Tensor, ...] | None"


def _contiguous(t: "Tensor") -> "Tensor":
    """Return images with their channels last, which convolutions are fastest on."""
    import torch  # noqa: PLC0415

    return t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t


def _optimizer(module: "fx.GraphModule", recipe: Recipe) -> "torch.optim.Optimizer":
    import torch  # noqa: PLC0415

    matrices = [p for p in module.parameters() if p.dim() > 1]
    vectors = [p for p in module.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True)


def _loss(module: "fx.GraphModule", lesson: _Lesson, recipe: Recipe) -> "Tensor":
    import torch  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    outputs = module(*lesson.x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    parts = []
    if lesson.wanted is not None:
        share = recipe.distillation if lesson.labels is not None else 1.0
        parts = [share * _distance(a, b, recipe.temperature) for a, b in zip(outputs, lesson.wanted, strict=True)]
    if lesson.labels is not None:
        target = torch.from_numpy(lesson.labels.astype(np.int64))
        scores = outputs[0].flatten(1)
        parts.append((1 - recipe.distillation if parts else 1.0) * functional.cross_entropy(scores, target))
    if not parts:
        raise GalenError("training needs labels or the original model")
    return torch.stack(parts).sum()


def _distance(actual: "Tensor", wanted: "Tensor", temperature: float) -> "Tensor":
    """Softened KL divergence of class scores; relative squared error of other outputs."""
    from torch.nn import functional  # noqa: PLC0415

    if wanted.dim() != 2 or wanted.shape[1] < 2:
        return functional.mse_loss(actual, wanted) / wanted.square().mean().clamp_min(1e-12)
    soft = functional.log_softmax(actual / temperature, 1), functional.log_softmax(wanted / temperature, 1)
    return functional.kl_div(*soft, reduction="batchmean", log_target=True) * temperature**2


def _step(optimizer: "torch.optim.Optimizer", loss: "Tensor", recipe: Recipe, done: float) -> None:
    import torch  # noqa: PLC0415

    rate = recipe.learning_rate * min(done / _WARM_UP, 1.0) * 0.5 * (1 + math.cos(math.pi * done))
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], recipe.clip)
    optimizer.step()
