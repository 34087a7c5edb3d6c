"""Repairing a compressed model before its accuracy counts: channel statistics, least squares, distillation, training.

Everything here works on models in place and needs samples; the costs grow in this order:

- `Statistics(reference, samples).match(candidate, cut)`: every layer gets back its mean and variance per channel;
- `Reconstruction(reference, samples).fit(candidate, cut)`: every layer is fitted to the original's output;
- `distill(candidate, reference, samples, steps, generator)`: some optimiser steps towards the original's outputs;
- `finetune(candidate, train, epochs, generator, reference=...)`: whole epochs.

The first two are made for float models (match, then quantize); the others train integer weights too.
"""

from galen.passes.recover.reconstruction import Reconstruction
from galen.passes.recover.statistics import Statistics
from galen.passes.recover.training import Progress, Recipe, distill, finetune

__all__ = ["Progress", "Recipe", "Reconstruction", "Statistics", "distill", "finetune"]
