"""Functions of the user's own, named `module:function`."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from galen.ir.errors import GalenError

FORM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def load_function(spec: str) -> Callable[..., Any]:
    """Import `module:function`; modules of the current folder are found too.

    Raises:
        GalenError: the text has another form, the module cannot be imported or has no such function.
    """
    if not FORM.fullmatch(spec):
        raise GalenError("is not of the form module:function", where=spec)
    module_name, _, name = spec.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(module_name), name)
    except ImportError as error:
        raise GalenError(f"cannot be imported: {error}", where=spec) from error
    except AttributeError as error:
        raise GalenError(f"the module has no function {name!r}", where=spec) from error
    finally:
        sys.path.pop(0)
    if not callable(function):
        raise GalenError("is not a function", where=spec)
    return function  # type: ignore[no-any-return]
