"""TVM, imported whole.

Importing TVM takes seconds, so whoever needs it imports it late. An import that Ctrl-C breaks off leaves modules and
registered types half-made: the next use of TVM fails, and the interpreter may crash on its way out.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def load_tvm() -> None:
    """Import all of TVM that compiling uses; a Ctrl-C meanwhile is heeded when that is done.

    Raises:
        KeyboardInterrupt: the user interrupted meanwhile.
    """
    with uninterrupted():
        import tvm.relax.frontend.onnx  # noqa: PLC0415
        import tvm.script.ir_builder  # noqa: PLC0415
        import tvm.tirx.script.builder  # noqa: F401, PLC0415


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off until the block has ended; other threads than the main one receive none to begin with."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if held and callable(handler):
        handler(*held[0])
