"""Targets, kernels, lowering, runners and evaluators."""
