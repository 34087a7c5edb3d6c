"""Who evaluates candidates: this process, worker processes beside it, or workers on other machines (Ray).

The searcher stays in the driver. It is asked in order and told in that order, whoever finishes first, so that the
journal depends on how many workers there are and never on how fast each is.
"""
