"""Ctrl-C while TVM is being imported."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from galen.backends.imports import uninterrupted


def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _heeded() -> Iterator[None]:
    """Make Ctrl-C heeded: tests that run in the background ignore it to begin with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_heeded_after_the_block_and_not_within() -> None:
    reached = []

    @uninterrupted()
    def block() -> None:
        interrupted()
        reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_an_interrupt_nothing_happens() -> None:
    with uninterrupted():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_may_use_it() -> None:
    done = []

    def body() -> None:
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert done


def test_an_interrupted_import_leaves_tvm_whole() -> None:
    script = """
import os, signal, sys
from galen.backends.imports import load_tvm
signal.signal(signal.SIGINT, signal.default_int_handler)

class Finder:  # presses Ctrl-C in the middle
    def find_spec(self, name, path, target=None):
        if name == "tvm.relax":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
try:
    load_tvm()
except KeyboardInterrupt:
    import tvm
    print(tvm.relax.BlockBuilder.__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "BlockBuilder"
