"""Per layer, in words: what was done to it, what that costs, what it saves, or why it was left alone."""

from galen.passes.policy import FP32
from galen.report.data import Layer
from galen.report.words import bits, milliseconds

WIDEST_SEARCHED = 8  # ratio 0 of the sensitivity's width parameters is this many bits


def reason(layer: Layer) -> str:
    """Return one or two short sentences on `layer`."""
    done = [text for text in (_cut(layer), _narrowed(layer)) if text]
    if layer.frozen:
        done.append(f"not cut: {layer.frozen}")
    if not done:
        done.append(f"kept whole and in fp32{_most_sensitive(layer)}")
    text = "; ".join(done)
    return f"{text[0].upper()}{text[1:]}. {_effect(layer)}".strip()


def _cut(layer: Layer) -> str:
    if layer.keep == layer.of:
        return ""
    share = 1 - layer.keep / layer.of
    return f"Keeps {layer.keep} of {layer.of} channels of {layer.group}{_divergence(layer, 'sparsity', share)}"


def _narrowed(layer: Layer) -> str:
    if layer.bits == FP32:
        return ""
    pair = layer.bits
    weights = _divergence(layer, "weight_bits", 1 - pair.weight_bits / WIDEST_SEARCHED)
    inputs = _divergence(layer, "activation_bits", 1 - pair.activation_bits / WIDEST_SEARCHED)
    return f"weights {bits(pair.weight_bits)}{weights}, activations {bits(pair.activation_bits)}{inputs}"


def _divergence(layer: Layer, parameter: str, ratio: float) -> str:
    values = layer.sensitivity.get(parameter)
    if not values or ratio < 0:
        return ""
    return f" (alone: KL {values[min(round(ratio * 10), len(values) - 1)]:.2g})"


def _most_sensitive(layer: Layer) -> str:
    worst = max(((max(values), name) for name, values in layer.sensitivity.items() if values), default=None)
    return "" if worst is None else f" (up to KL {worst[0]:.2g} in {worst[1].replace('_', ' ')})"


def _effect(layer: Layer) -> str:
    if layer.latency_before is None or layer.latency_after is None:
        return ""
    saved = layer.latency_before - layer.latency_after
    if abs(saved) < 0.005 * max(layer.latency_before, 1e-9):
        return ""
    share = abs(saved) / layer.latency_before if layer.latency_before else 0.0
    return f"{'Saves' if saved > 0 else 'Costs'} {milliseconds(abs(saved))} ({share:.0%})."
