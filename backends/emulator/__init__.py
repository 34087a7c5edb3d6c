"""An AArch64 core in the process, and the clock that turns what it executed into time."""
