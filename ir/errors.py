"""The two errors that reach a user. Everything else that escapes is a bug and keeps its traceback."""


class GalenError(Exception):
    """An input, value, model or device is at fault (exit code 1).

    Args:
        what: what is wrong, one line, no trailing full stop.
        where: the file, node, layer or field it is wrong in.
        hint: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(": ".join(part for part in (where, what) if part) + (f" ({hint})" if hint else ""))


class UsageError(GalenError):
    """The command itself is malformed: unknown flag, pass, option or out-of-range option value (exit code 2).

    Args:
        text: the pipeline text at fault, when there is one.
        column: zero-based position in `text` that a caret is drawn under.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        text: str | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.text, self.column = text, column


def root_cause(error: BaseException) -> str:
    """Return what the first of a chain of errors says, as one short line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200]
