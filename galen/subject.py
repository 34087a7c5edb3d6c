"""What a search works on: the model in plain form, its data, its target, and how to build and time a candidate."""

from dataclasses import dataclass

from galen.backends.accuracy import Accuracy
from galen.backends.build import lower
from galen.backends.latency import Latency
from galen.backends.runner import Runner
from galen.backends.target import Target
from galen.ir import Model, Samples
from galen.ir.costs import costs
from galen.ir.dataset import open_dataset
from galen.ir.digest import digest
from galen.ir.io import load
from galen.ir.shapes import Shapes
from galen.options import SearchOptions
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.origin import ORIGIN
from galen.passes.simplify import Simplify
from galen.passes.space import Space, space_of


@dataclass(frozen=True)
class Subject:
    """Loaded once per search.

    Attributes:
        original: the model as it was read.
        model: after `simplify,fold-batchnorm`; never changed.
        train: what calibrates and recovers: the training data, else the search data.
        test: only reported.
    """

    original: Model
    model: Model
    target: Target
    runner: Runner
    shapes: Shapes
    data: Samples
    train: Samples
    test: Samples | None
    metric: str | None

    @classmethod
    def load(cls, options: SearchOptions) -> "Subject":
        """Read everything that `options` names.

        Raises:
            GalenError: the model, the data or the target are at fault.
            UsageError: no such runner.
        """
        target = options.runner.target(options.target)
        original = load(options.model)
        model = original.clone()
        Simplify().apply(model)
        FoldBatchNorm().apply(model)
        model.metadata_props[ORIGIN] = digest(model)  # candidates are rewritten from this, whatever this is from
        data = open_dataset(options.data, model)
        train = open_dataset(options.train_data, model) if options.train_data else data
        test = open_dataset(options.test_data, model) if options.test_data else None
        runner = options.runner.open(target)
        return cls(original, model, target, runner, options.shapes, data, train, test, options.metric)

    def space(self) -> Space:
        """Return what may be decided."""
        return space_of(self.model, self.target.limits, self.target.name, self.shapes)

    def latency(self, model: Model) -> Latency:
        """Return the time of one inference of `model` on the target."""
        return self.runner.latency(lower(model, self.target, self.shapes))

    def bytes(self, model: Model) -> int:
        """Return the size of the weights at their widths."""
        return costs(model, self.shapes).bytes

    def accuracy(self, samples: Samples) -> Accuracy:
        """Return the scorer on `samples`."""
        return Accuracy(samples, reference=self.original, metric=self.metric)
