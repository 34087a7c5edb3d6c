"""Pipeline text: what it means, that it round-trips, and where the caret goes when it means nothing."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galen.ir import GalenError, Model, UsageError
from galen.passes import registry
from galen.passes.base import Pass, bound
from galen.passes.fields import CHILDREN, hints, options
from galen.passes.pipeline import Pipeline
from galen.passes.policy import FP16, INT8, Keep, Policy


@dataclass(frozen=True)
class Everything(Pass, name="test-everything"):
    """One option of every type."""

    count: int = 1
    share: float = 0.5
    flag: bool = False
    word: str = "a"
    choice: Literal["l1", "l2"] = "l1"
    maybe: int | None = None
    names: tuple[str, ...] = ()
    ratios: Mapping[str, float] = dataclasses.field(default_factory=dict)
    policy: Policy | None = None
    data: Any = bound("data")

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError(f"{self.count} is negative", where="count")

    def apply(self, model: Model, /) -> bool:
        return False


def the_one(text: str) -> Pass:
    (only,) = Pipeline.parse(text).passes
    return only


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("test-everything", Everything()),
        (" test-everything { } ", Everything()),
        ("test-everything{count=3 share=1e-05 flag=true}", Everything(count=3, share=1e-5, flag=True)),
        ("test-everything{share=1}", Everything(share=1.0)),
        ("test-everything{word=b}", Everything(word="b")),
        ("test-everything{word=1e5}", Everything(word="1e5")),
        ('test-everything{word="a, b} (c)"}', Everything(word="a, b} (c)")),
        ("test-everything{choice=l2 maybe=null}", Everything(choice="l2")),
        ('test-everything{names=["/a/b","c"]}', Everything(names=("/a/b", "c"))),
        ("test-everything{names=/a/b}", Everything(names=("/a/b",))),
        ('test-everything{ratios={"conv*":0.5}}', Everything(ratios={"conv*": 0.5})),
    ],
)
def test_values_take_the_type_of_their_field(text: str, expected: Pass) -> None:
    assert the_one(text) == expected


def test_items_nest_and_follow_each_other() -> None:
    text = "simplify,repeat{max=3}(fold-constants,pipeline(simplify,eliminate-dead-code)),fold-batchnorm"
    assert Pipeline.parse(text).text == text
    assert [each.name for each in Pipeline.parse(text).passes] == ["simplify", "repeat", "fold-batchnorm"]


def test_an_empty_text_is_an_empty_pipeline() -> None:
    assert Pipeline.parse(" ") == Pipeline(())


def test_a_file_stands_for_its_content(tmp_path: Path) -> None:
    policy = Policy(groups={"conv": Keep(3, 4)}, layers={"fc": INT8, "head": FP16}, digest="d")
    path = tmp_path / "my policy.json"
    path.write_text(str(policy))
    parsed = the_one(f'test-everything{{policy=@"{path}" word=@"{path}"}}')
    assert isinstance(parsed, Everything)
    assert parsed.policy == policy
    assert parsed.word == str(policy)
    path.unlink()
    assert the_one(str(parsed)) == parsed


def test_a_file_at_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(GalenError, match=r"none\.json: no such file"):
        Pipeline.parse(f"test-everything{{policy=@{tmp_path}/none.json}}")
    broken = tmp_path / "broken.json"
    broken.write_text('{"version": 1, "group": {}}')
    with pytest.raises(GalenError, match=r"broken\.json.*unknown key 'group'") as caught:
        Pipeline.parse(f"test-everything{{policy=@{broken}}}")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simplfy|^", "unknown pass 'simplfy' .did you mean 'simplify'?"),
        ("simplify,|^", "expected the name of a pass"),
        ("^]", "expected the name of a pass"),
        ("simplify ^fold-batchnorm", "unexpected 'f'"),
        ("simplify^(fold-batchnorm)", "takes no passes"),
        ("repeat(simplify^", "expected '.', the text ends here"),
        ("^repeat", "needs passes in parentheses"),
        ("repeat{max=^0}(simplify)", "not at least 1"),
        ("test-everything{^cont=1}", "no option 'cont' .did you mean 'count'?"),
        ("test-everything{^data=1}", "no option 'data'"),
        ("test-everything{count=1 ^count=2}", "given twice"),
        ("test-everything{count ^1}", "expected '='"),
        ("test-everything{count=^x}", "'count': expected a whole number"),
        ("test-everything{count=^1.5}", "expected a whole number"),
        ("test-everything{count=^true}", "expected a whole number"),
        ("test-everything{share=^1e999}", "expected a finite number"),
        ("test-everything{share=^NaN}", "expected a finite number"),
        ("test-everything{flag=^1}", "expected true or false"),
        ("test-everything{choice=^l3}", "expected l1 or l2"),
        ("test-everything{word=^[1]}", "expected a string"),
        ('test-everything{names=["a", ^}', "malformed value"),
        ("test-everything{names=^[1]}", "expected a string"),
        ("test-everything{count=^-1}", "is negative"),
        ("test-everything{count=^", "expected a value"),
        ("test-everything^}", "unexpected"),
    ],
)
def test_the_caret_points_at_the_fault(text: str, message: str) -> None:
    """`^` in the text stands for the caret before the next character; `|^` for one at the first."""
    column = 0 if text.endswith("|^") and "," not in text else text.replace("|", "").index("^")
    with pytest.raises(UsageError, match=message) as caught:
        Pipeline.parse(text.replace("|", "").replace("^", ""))
    assert caught.value.column == column
    assert caught.value.exit_code == 2


def test_another_package_can_bring_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    entry = EntryPoint("test-everything", f"{__name__}:Everything", registry.GROUP)
    monkeypatch.delitem(Pass.registry, "test-everything")
    monkeypatch.setattr(registry, "entry_points", lambda **_: [entry])
    monkeypatch.setattr(EntryPoint, "load", lambda _: Everything)
    assert registry.find("test-everything") is Everything


# Round trips of every registered pass with random field values.

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**40), 2**40),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    str: st.text(),
}


POLICIES = st.builds(
    Policy,
    st.dictionaries(st.text(), st.integers(1, 99).map(lambda of: Keep(1, of)), max_size=2),
    st.dictionaries(st.text(), st.sampled_from([INT8, FP16]), max_size=2),
    digest=st.text(),
)
PLAIN[Policy] = POLICIES
PLAIN[type(None)] = st.none()


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Random values of a field's type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(st.text(), values_of(arguments[1]), max_size=3)
    assert arguments, f"no strategy for {hint}"
    return st.one_of(*map(values_of, arguments))


@st.composite
def passes(draw: st.DrawFn, depth: int = 2) -> Pass:
    """A random instance of a random pass; values that the pass itself refuses are drawn again with defaults."""
    kind = Pass.registry[draw(st.sampled_from(registry.names()))]
    types = hints(kind)
    arguments = {field.name: draw(values_of(types[field.name])) for field in options(kind).values()}
    if any(field.name == CHILDREN for field in dataclasses.fields(kind)):  # type: ignore[arg-type]
        size = draw(st.integers(1, 2)) if depth else 0
        arguments[CHILDREN] = tuple(draw(passes(depth - 1)) for _ in range(size))
    for chosen in (arguments, _one_by_one(kind, arguments)):
        try:
            return kind(**chosen)
        except (UsageError, TypeError):  # a value out of range, or a required option that was
            continue
    return Everything(
        **{k: draw(values_of(t)) for k, t in hints(Everything).items() if k in ("word", "share", "names")}
    )


def _one_by_one(kind: type[Pass], arguments: dict[str, Any]) -> dict[str, Any]:
    """Keep those arguments that the pass takes beside its defaults."""
    accepted: dict[str, Any] = {}
    for key, value in arguments.items():
        try:
            kind(**accepted, **{key: value})
        except UsageError:
            continue
        except TypeError:  # another option is required: it comes later
            pass
        accepted[key] = value
    return accepted


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(passes(), max_size=3))
def test_text_round_trips(items: list[Pass]) -> None:
    pipeline = Pipeline(tuple(items))
    assert Pipeline.parse(pipeline.text) == pipeline
    assert Pipeline.parse(str(pipeline)).passes == (pipeline,)


@settings(deadline=None)
@given(st.text(alphabet='simplfy-repat{}()=,"@[]0.5e l1', max_size=40))
def test_any_text_parses_or_is_refused_with_a_place(text: str) -> None:
    try:
        pipeline = Pipeline.parse(text)
    except GalenError as error:
        column = getattr(error, "column", None)
        is_place = column is not None and 0 <= column <= len(text)
        assert is_place or "@" in text, "a file that cannot be read has no place in the text"
    else:
        assert Pipeline.parse(pipeline.text) == pipeline
