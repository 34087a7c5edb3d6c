"""Searchers behind one ask/tell interface."""
