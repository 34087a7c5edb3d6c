"""Remove what only training needs."""

from dataclasses import dataclass

from galen.ir import Model, Node
from galen.ir.edit import all_nodes, bypass, set_attribute
from galen.ir.library import ClearMetadataAndDocStringPass, applied
from galen.passes.base import Pass
from galen.passes.origin import ORIGIN


@dataclass(frozen=True)
class StripTraining(Pass, name="strip-training"):
    """Put the model into inference mode: Dropout goes, BatchNormalization uses its statistics; notes of exporters go.

    Notes are doc strings and metadata of nodes (stack traces); the model's own `galen.origin` stays.
    """

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was removed."""
        origin = model.metadata_props.get(ORIGIN)
        changed = applied(ClearMetadataAndDocStringPass(), model)
        if origin is not None:
            model.metadata_props[ORIGIN] = origin
        for node in all_nodes(model):
            if node.op_type == "Dropout" and not node.domain:
                changed |= _drop(node)
            elif node.op_type == "BatchNormalization" and not node.domain:
                changed |= _use_statistics(node)
        return changed


def _drop(node: Node) -> bool:
    mask_read = any(output.uses() or output.is_graph_output() for output in node.outputs[1:])
    source = node.inputs[0]
    return not mask_read and source is not None and bypass(node, source)


def _use_statistics(node: Node) -> bool:
    running = node.outputs[1:]
    if any(output.uses() or output.is_graph_output() for output in running):
        return False
    trained = bool(running) or "training_mode" in node.attributes
    node.resize_outputs(1)
    if "training_mode" in node.attributes:
        set_attribute(node, "training_mode", 0)
    return trained
