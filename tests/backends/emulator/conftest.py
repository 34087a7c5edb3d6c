"""Small kernels for the emulated core, compiled once per session."""

from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = """
#include <stdint.h>
extern float expf(float);
extern int unheard_of(int);
typedef struct {{ int32_t type; uint32_t small; void **tensor; }} any;
#define DATA(i) ((float *)args[i].tensor[0])
int __tvm_ffi_{name}(void *self, const any *args, int count, any *result) {{ {body} return 0; }}
"""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Return a function that compiles the body of a kernel, given in C, to an object as TVM writes them."""
    from galen.backends.emulator.native import GUEST, compile_c

    folder = tmp_path_factory.mktemp("kernels")

    def build(name: str, body: str) -> Path:
        source, path = folder / f"{name}.c", folder / f"{name}.o"
        source.write_text(SOURCE.format(name=name, body=body))
        compile_c(source, path, GUEST)
        return path

    return build
