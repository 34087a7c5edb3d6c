"""Networks of every family, from both exporters: cut to full depth, and computing what the masked original computes.

A family at half its width is what pruning by half must come close to. Recurrent and dynamic variants included.
"""

import functools

import numpy as np
import pytest
from families import FAMILIES, KNOWN, example, export
from onnx_text import difference, run

from galen.ir import Model
from galen.ir.clone import clone
from galen.ir.costs import costs
from galen.ir.coupling import apply_cut, couple
from galen.ir.coupling.mask import mask
from galen.ir.io import load
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.prune import Prune
from galen.passes.simplify import Simplify

WIDTH = 16
FURTHER = ["eca", "bifpn", "gmlp", "wavenet", "llama", "t5", "seq2seq", "experts"]
"""Of the networks that `benchmarks/prune_families.py` tries."""


@functools.cache
def exported(name: str, width: int, dynamo: bool = False, dynamic: bool = False) -> Model:
    net = load(export(name, width, dynamo=dynamo, dynamic=dynamic))
    Simplify().apply(net)
    FoldBatchNorm().apply(net)
    return net


def feeds(name: str, net: Model) -> dict[str, np.ndarray]:
    return {str(value.name): x.numpy() for value, x in zip(net.graph.inputs, example(name), strict=True)}


def check(name: str, net: Model, prune: Prune) -> Model:
    """Prune a copy and compare it with the mask; return it."""
    cut, small = prune.cut(net), clone(net)
    assert apply_cut(small, cut)
    assert difference(run(small, feeds(name, net)), run(mask(net, cut), feeds(name, net))) < 1e-4
    return small


@pytest.mark.parametrize("name", [*FAMILIES, *FURTHER])
def test_half_of_every_axis_goes(name: str) -> None:
    small = check(name, exported(name, WIDTH), Prune(sparsity=0.5))

    assert costs(small).parameters <= 1.05 * costs(exported(name, WIDTH // 2)).parameters


@pytest.mark.parametrize("name", ["vit", "rope", "llama"])
def test_whole_heads_go_with_their_key_head(name: str) -> None:
    small = check(name, exported(name, WIDTH), Prune(sparsity=0.5, heads=True))

    assert costs(small).parameters <= 1.05 * costs(exported(name, WIDTH // 2)).parameters


@pytest.mark.parametrize("name", KNOWN)
def test_ranked_over_all_groups(name: str) -> None:
    net = exported(name, WIDTH)
    cut = Prune(sparsity=0.5, global_=True).cut(net)
    small = clone(net)
    apply_cut(small, cut)
    sizes = {group.name: group.size for group in couple(net).groups}
    gone = sum(sizes[group] - len(kept) for group, kept in cut.groups.items())

    assert gone / sum(sizes.values()) == pytest.approx(0.5, abs=0.01)
    assert difference(run(small, feeds(name, net)), run(mask(net, cut), feeds(name, net))) < 1e-4


@pytest.mark.parametrize("name", ["yolo", "vit"])
def test_exported_by_dynamo(name: str) -> None:
    small = check(name, exported(name, WIDTH, dynamo=True), Prune(sparsity=0.5))

    assert costs(small).parameters <= 1.05 * costs(exported(name, WIDTH // 2)).parameters


@pytest.mark.parametrize("name", ["vgg", "vit", "conformer", "groupnorm", "swin", "lstm"])
def test_batch_of_any_size(name: str) -> None:
    net = exported(name, WIDTH, dynamic=True)
    cut, small = Prune(sparsity=0.5).cut(net), clone(net)
    apply_cut(small, cut)
    triple = {key: np.concatenate([x, -x, 2 * x]) for key, x in feeds(name, net).items()}

    assert difference(run(small, triple), run(mask(net, cut), triple)) < 1e-4
    assert costs(small).parameters <= 1.05 * costs(exported(name, WIDTH // 2)).parameters + 64


@pytest.mark.parametrize("name", ["yolo", "shufflenet", "rope"])
def test_lengths_computed_at_run_time_are_simplified_first(name: str) -> None:
    net = load(export(name, WIDTH))
    Prune(sparsity=0.5).apply(net)

    assert costs(net).parameters <= 1.06 * costs(exported(name, WIDTH // 2)).parameters
    run(net, feeds(name, net))
