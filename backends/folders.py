"""Where compiled objects, helper libraries and times are kept between runs."""

import os
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """Return (and make) a folder under `$XDG_CACHE_HOME/galen`, by default `~/.cache/galen`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root, "galen", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
