"""The report of a search: one self-contained HTML page."""
