"""From a model to a program of kernel calls."""
