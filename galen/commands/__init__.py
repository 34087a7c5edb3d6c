"""The commands of `galen`, one file each: `add_arguments` describes it, `execute` runs it."""
