"""Any other operator: TVM's own lowering of a single ONNX node, correct and slow."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import onnx

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.target import Target
from galen.ir import GalenError

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

REFUSALS = (ValueError, TypeError, NotImplementedError, KeyError, AttributeError, RuntimeError, AssertionError)
"""What TVM's ONNX frontend raises for what it does not know."""


@dataclass(frozen=True)
class Fallback(Kernel):
    """One node, its small constant inputs included.

    Attributes:
        op: operator type.
        model: an ONNX model of that one node with static shapes, serialized, in base64.
        inputs, results: what it reads and writes, dense.
        macs: multiply-accumulates of the operator.
        node: name for error messages; no part of the kernel's identity.
    """

    op: str
    model: str
    inputs: tuple[Spec, ...]
    results: tuple[Spec, ...]
    macs: int = 0
    node: str = field(default="", repr=False, compare=False)
    family: ClassVar[str] = "fallback"

    @property
    def args(self) -> tuple[Spec, ...]:
        """Inputs and outputs of the node."""
        return (*self.inputs, *self.results)

    @property
    def outputs(self) -> int:
        """Outputs of the node."""
        return len(self.results)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Evaluate the node with ONNX's reference implementation."""
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

        evaluator = ReferenceEvaluator(self._proto())
        results = evaluator.run(None, dict(zip(evaluator.input_names, inputs, strict=True)))
        return [np.asarray(r, s.dtype) for r, s in zip(results, self.results, strict=True)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return what TVM makes of the node, as one function.

        Raises:
            GalenError: TVM has no such operator.
        """
        import tvm  # noqa: PLC0415
        from tvm import relax  # noqa: PLC0415
        from tvm.relax.frontend.onnx import from_onnx  # noqa: PLC0415

        passes = (relax.transform.LegalizeOps(), relax.transform.FoldConstant(), relax.transform.DeadCodeElimination())
        try:
            module = from_onnx(self._proto(), keep_params_in_input=False)
            with tvm.target.Target(target.llvm):
                module = relax.transform.FuseTIR()(_as_one(tvm.transform.Sequential(passes)(module)))
        except REFUSALS as error:
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise GalenError(f"operator {self.op} cannot be lowered: {reason[0]}", where=f"node {self.node}") from error
        (function,) = [f for f in module.functions.values() if isinstance(f, tvm.tirx.PrimFunc)]
        if len(function.params) != len(self.args):
            raise GalenError(f"operator {self.op} cannot be lowered: it ignores an input", where=f"node {self.node}")
        return function

    def _proto(self) -> onnx.ModelProto:
        return onnx.load_model_from_string(base64.b64decode(self.model))


def _as_one(module: Any) -> Any:
    """Return the module with the body of `main` as one primitive function, which `FuseTIR` turns into one kernel."""
    import tvm  # noqa: PLC0415
    from tvm import relax  # noqa: PLC0415

    main = module["main"].without_attr("num_input").without_attr("global_symbol")
    builder = relax.BlockBuilder(tvm.IRModule({v: f for v, f in module.functions.items() if v.name_hint != "main"}))
    whole = builder.add_func(main.with_attr("Primitive", 1), "whole")
    parameters = [relax.Var(f"p{i}", p.ty) for i, p in enumerate(main.params)]
    with builder.function("main", parameters):
        with builder.dataflow():
            result = builder.emit_output(relax.Call(whole, parameters))
        builder.emit_func_output(result)
    return builder.get()
