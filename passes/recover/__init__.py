"""Repairing a compressed model before its accuracy counts: channel statistics, least squares, distillation, training.

Everything here works on models in place and needs samples; the costs grow in this order:

- `Statistics(reference, samples).match(candidate, cut)`: seconds; every layer gets the mean and variance per channel
  that it had in the original.
- `reconstruct(candidate, reference, cut, samples)`: seconds; every layer is fitted to the original's output.
- `distill(candidate, reference, samples, steps, generator)`: some optimiser steps towards the original's outputs.
- `finetune(candidate, train, epochs, generator, reference=...)`: whole epochs.
"""
