"""A pass fails as a whole or not at all, alone, nested and in a pipeline; watchers see every step."""

import io
import json
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import onnx.parser
import pytest

from galen.ir import DataType, GalenError, Model, UsageError
from galen.ir.edit import Names, const_value, new_initializer, set_initializer
from galen.ir.execute import Arrays, random_inputs
from galen.ir.io import from_proto
from galen.ir.show import show
from galen.passes.base import Pass, bound
from galen.passes.bisect import Bisect
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.pipeline import Pipeline
from galen.passes.repeat import Repeat
from galen.passes.simplify import Simplify
from galen.passes.watch import Explainer, Verifier, Watcher, largest_change, run_on, tolerance_of


def small() -> Model:
    return from_proto(
        onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { [id] a = Identity(x) [mul] y = Mul(a, w) }""")
    )


@dataclass(frozen=True)
class Vandal(Pass):
    """Changes everything it can, then fails: what a third party may do."""

    name = "test-vandal"

    error: type[BaseException] = ValueError

    def apply(self, model: Model, /) -> bool:
        set_initializer(model.graph.initializers["w"], np.zeros(2, np.float32))
        new_initializer(model.graph, np.zeros(3), "litter")
        model.graph.node(0).name = "renamed"
        model.graph.outputs[0].name = "other"
        model.graph.opset_imports["com.example"] = 1
        model.metadata_props["litter"] = "yes"
        model.ir_version = 3
        raise self.error("broken")


@dataclass(frozen=True)
class Double(Pass):
    """Claims to keep the outputs, and doubles them."""

    name = "test-double"

    label: str = ""

    tolerance = 1e-5

    def apply(self, model: Model, /) -> bool:
        weight = model.graph.initializers["w"]
        set_initializer(weight, const_value(weight) * 2)
        return True


@dataclass(frozen=True)
class Halve(Pass):
    """Promises nothing."""

    name = "test-halve"

    def apply(self, model: Model, /) -> bool:
        weight = model.graph.initializers["w"]
        set_initializer(weight, const_value(weight) / 2)
        return True


@dataclass(frozen=True)
class Sever(Pass):
    """Leaves a value that nothing computes."""

    name = "test-sever"

    def apply(self, model: Model, /) -> bool:
        node = next(node for node in model.graph if node.op_type == "Mul")
        producer = node.inputs[0].producer()
        if producer is not None:
            model.graph.remove(producer)
        return True


@dataclass(frozen=True)
class Bound(Pass):
    """Takes a resource."""

    name = "test-bound"

    data: object = bound("data")

    def apply(self, model: Model, /) -> bool:
        return False


@pytest.mark.parametrize("error", [ValueError, GalenError, KeyboardInterrupt])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda p: p,
        lambda p: Pipeline((Simplify(), p)),
        lambda p: Repeat((Simplify(), p)),
        lambda p: Pipeline((Repeat((p,)),)),
    ],
)
def test_after_an_error_the_model_is_as_it_was(error, wrap) -> None:
    model = small()
    before, metadata = show(model), dict(model.metadata_props)
    with pytest.raises(error):
        wrap(Vandal(error)).apply(model)
    assert show(model) == before
    assert dict(model.metadata_props) == metadata
    np.testing.assert_array_equal(const_value(model.graph.initializers["w"]), [1, 2])
    assert Simplify().apply(model), "the model can be used on"


def test_an_error_undoes_the_passes_before_it_too() -> None:
    model = small()
    before = show(model)
    with pytest.raises(ValueError, match="broken"):
        Pipeline((Double(), Simplify(), Vandal())).run(model)
    assert show(model) == before
    np.testing.assert_array_equal(const_value(model.graph.initializers["w"]), [1, 2])


def test_calling_a_pass_leaves_the_original_alone() -> None:
    model = small()
    before = show(model)
    rewritten = Simplify()(model)
    assert show(model) == before
    assert [node.op_type for node in rewritten.graph] == ["Mul"]


def test_copies_do_not_share_the_types_of_values() -> None:
    model = small()
    Pipeline.parse("cast-fp16").apply(model.clone())
    assert [value.dtype for value in model.graph.outputs] == [DataType.FLOAT]


def test_the_report_says_what_each_pass_did() -> None:
    report = Pipeline((Simplify(), Simplify())).run(small())
    assert [(step.name, step.changed) for step in report.steps] == [("simplify", True), ("simplify", False)]
    assert report.changed
    assert all(step.seconds >= 0 for step in report.steps)
    json.dumps([vars(step) for step in report.steps])


def test_watchers_see_every_pass_before_and_after() -> None:
    class Diary(Watcher):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def before(self, each: Pass, model: Model) -> None:
            self.lines.append(f"before {each.name}: {len(model.graph)}")

        def after(self, each: Pass, model: Model) -> None:
            self.lines.append(f"after {each.name}: {len(model.graph)}")

    diary = Diary()
    Pipeline.parse("simplify,fold-batchnorm").run(small(), [diary])
    assert diary.lines == [
        "before simplify: 2",
        "after simplify: 1",
        "before fold-batchnorm: 1",
        "after fold-batchnorm: 1",
    ]


def test_watchers_see_what_repeat_does_inside() -> None:
    seen: list[str] = []

    class Listener(Watcher):
        def after(self, each: Pass, model: Model) -> None:
            seen.append(each.name)

        def finish(self) -> None:
            seen.append("finished")

    Pipeline.parse("repeat(simplify,fold-batchnorm)").run(small(), [Listener()])
    rounds = ["simplify", "fold-batchnorm"]
    assert seen == [*rounds, *rounds, "repeat", "finished"]


def test_explanations_are_indented_inside_repeat() -> None:
    out = io.StringIO()
    Pipeline.parse("repeat{max=1}(simplify)").run(small(), [Explainer(out)])
    assert out.getvalue().splitlines() == [
        "repeat{max=1}(simplify)",
        "  simplify",
        "    operators: Identity -1",
        "  operators: Identity -1",
    ]


def test_bisect_names_the_pass_that_breaks_its_promise() -> None:
    model = small()
    before = show(model)
    watch = Bisect(random_inputs(model, np.random.default_rng(0)))
    with pytest.raises(GalenError, match=r"pass test-double: changes output y by .*, its tolerance is 1e-05"):
        Pipeline((Simplify(), Double(), Simplify())).run(model, [watch])
    assert show(model) == before


@pytest.mark.parametrize(("sound", "broken", "evaluations"), [(40, 0, 2), (29, 10, 8), (0, 40, 8), (39, 1, 8)])
def test_bisect_runs_few_models_however_long_the_pipeline(
    sound: int, broken: int, evaluations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Model] = []

    def counted(model: Model, inputs: Arrays) -> Arrays:
        runs.append(model)
        return run_on(model, inputs)

    monkeypatch.setattr("galen.passes.bisect.run_on", counted)
    passes = [Simplify()] * sound + [Double()] * (broken > 0) + [Simplify()] * (broken - 1)
    watch = Bisect(random_inputs(small(), np.random.default_rng(0)))
    with pytest.raises(GalenError, match="pass test-double") if broken else nullcontext():
        Pipeline(tuple(passes)).run(small(), [watch])
    assert len(runs) <= evaluations


def test_bisect_names_the_first_of_several_culprits_after_a_pass_that_promises_nothing() -> None:
    watch = Bisect(random_inputs(small(), np.random.default_rng(0)))
    passes = Simplify(), Halve(), Simplify(), Repeat((Simplify(), Double("first"), Double("second")), max=2)
    with pytest.raises(GalenError, match=r"pass test-double{label=first}: changes output y"):
        Pipeline(passes).run(small(), [watch])


def test_bisect_names_the_pass_after_which_the_model_does_not_run() -> None:
    watch = Bisect(random_inputs(small(), np.random.default_rng(0)))
    with pytest.raises(GalenError, match=r"pass test-sever: left a broken model: broken graph"):
        Pipeline((FoldBatchNorm(), Sever())).run(small(), [watch])


def test_the_verifier_names_the_pass_that_breaks_the_model() -> None:
    model = small()
    watch = Verifier(random_inputs(model, np.random.default_rng(0)))
    with pytest.raises(GalenError, match=r"pass test-sever: left a broken model: node mul: reads a"):
        Pipeline((Sever(),)).run(model, [watch])


def test_outputs_that_are_sequences_or_maps_are_compared_item_by_item() -> None:
    one, two = np.float32([1, 2]), np.float32([1, 3])
    before = {"s": [one, {1: 0.5}], "n": None}
    assert largest_change(before, {"s": [one, {1: 0.5}], "n": None}) == ("s", 0.0)
    assert largest_change(before, {"s": [two, {1: 0.5}], "n": None}) == ("s", 0.5)
    for other in ([one], [one, {2: 0.5}], one):
        assert largest_change(before, {"s": other, "n": None}) == ("s", float("inf"))


def test_a_composite_promises_what_its_parts_promise() -> None:
    assert tolerance_of(Pipeline((Double(), Repeat((Double(),))))) == pytest.approx(2e-5)
    assert tolerance_of(Pipeline((Double(), Sever()))) is None


def test_resources_reach_nested_passes() -> None:
    bound_pipeline = Pipeline((Repeat((Bound(),)), Simplify())).bind(data="d", seed=1)
    repeat = bound_pipeline.passes[0]
    assert isinstance(repeat, Repeat)
    assert repeat.passes[0].data == "d"


def test_until_stops_after_the_named_pass() -> None:
    pipeline = Pipeline.parse("simplify,fold-batchnorm,simplify")
    assert pipeline.until("fold-batchnorm").text == "simplify,fold-batchnorm"
    with pytest.raises(UsageError, match="no pass 'prune' in the pipeline"):
        pipeline.until("prune")


def test_repeat_stops_when_nothing_changes() -> None:
    model = small()
    assert Repeat((Simplify(),)).apply(model)
    assert not Repeat((Simplify(),)).apply(model)


def test_fresh_names_are_free_and_stable() -> None:
    names = Names(small())
    assert [names.fresh("w"), names.fresh("w"), names.fresh("new")] == ["w_1", "w_2", "new"]
