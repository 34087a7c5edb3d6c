"""What `eliminate-dead-branches` leaves alone, beside the golden texts of what it decides."""

import onnx.parser

from galen.ir.io import from_proto
from galen.passes.eliminate_dead_branches import EliminateDeadBranches


def test_a_loop_whose_count_is_no_number_stays() -> None:
    model = from_proto(
        onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        g (float[2] x) => (float[2] y) <int64[2] counts = {1, 1}> {
            y = Loop(counts, , x) <body = b (int64 i, bool go, float[2] v) => (bool on, float[2] w) {
                on = Identity(go)
                w = Exp(v) }>
        }""")
    )
    assert not EliminateDeadBranches().apply(model)
