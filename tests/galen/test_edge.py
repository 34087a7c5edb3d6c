"""The edge of both command lines: what reaches the user of an error, and who owns standard output."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import TextIO

import pytest

from galen.edge import Parser, caret, run
from galen.ir import GalenError, UsageError


def outcome(
    capfd: pytest.CaptureFixture[str], body: Callable[[argparse.Namespace, TextIO], int]
) -> tuple[int, str, str]:
    parser = Parser(prog="tool")
    parser.add_common()
    code = run(parser, [], body)
    return code, *capfd.readouterr()


def raising(error: BaseException) -> Callable[[argparse.Namespace, TextIO], int]:
    def body(_: argparse.Namespace, __: TextIO) -> int:
        raise error

    return body


def test_only_results_reach_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    def body(_: argparse.Namespace, out: TextIO) -> int:
        print("a library that prints")
        os.write(1, b"a native library that prints\n")
        out.write("result\n")
        out.flush()
        out.buffer.write(b"bytes\n")
        return 3

    code, out, err = outcome(capfd, body)
    assert (code, out) == (3, "result\nbytes\n")
    assert sorted(err.splitlines()) == ["a library that prints", "a native library that prints"]
    print("afterwards standard output is as before")
    assert "afterwards" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (GalenError("is broken", where="x.onnx", hint="mend it"), 1, "tool: error: x.onnx: is broken (mend it)\n"),
        (GalenError("two\nlines"), 1, "tool: error: two lines\n"),
        (UsageError("bad", text="a,b", column=2), 2, "tool: error: bad\n  a,b\n    ^\n"),
        (MemoryError(), 1, "tool: error: out of memory\n"),
        (OSError(28, "No space left on device", "f"), 1, "tool: error: f: No space left on device\n"),
        (KeyboardInterrupt(), 130, "tool: error: interrupted\n"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_an_error_is_one_line_and_a_code(
    capfd: pytest.CaptureFixture[str], error: BaseException, code: int, text: str
) -> None:
    assert outcome(capfd, raising(error)) == (code, "", text)


def test_the_caret_stands_in_its_line() -> None:
    assert caret("first,\n  second(", 9) == "    second(\n    ^\n"
    assert caret("ends", 4) == "  ends\n      ^\n"


def test_abbreviations_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="tool")
    parser.add_common()
    assert run(parser, ["--deb"], raising(AssertionError())) == 2
    assert capfd.readouterr().err == "tool: error: unrecognized arguments: --deb (see tool --help)\n"
    assert sys.stdout is not sys.stderr
