"""Kernel generators, one file per family."""
