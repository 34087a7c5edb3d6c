"""One file per command of `galen`: `configure` declares its flags, `run` does it and returns the exit code."""
