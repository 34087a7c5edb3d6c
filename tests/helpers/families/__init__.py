"""Small torch networks in the style of known families, each at a width: at half the width every axis is halved.

`FAMILIES[name]` makes one; `example(name)` its inputs. Initialisation is random everywhere, biases and BatchNorm
statistics included, so that nothing is equal by accident.
"""

import io
import warnings

import torch
from torch import Tensor, nn

from families import convolutional, prediction, series, transformers
from families.attention import FusedAttention, LinearAttention, Rope, SdpaAttention, Swin, Vit
from families.branching import Deeplab, DenseNet, UNet, Yolo
from families.mixers import Conformer, ConvNext, Mixer
from families.mobile import Ghost, ManualShuffle, MobileNet, ShuffleNet, ShuffleV1
from families.recurrent import Crnn, Recurrent
from families.residual import Cbam, Gated, GroupNormNet, Res2Net, ResNet, SelectiveKernel, Siamese, Vgg, Volume

__all__ = ["FAMILIES", "FURTHER", "KNOWN", "MORE", "FusedAttention", "Yolo", "build", "example", "export"]

KNOWN = {
    "vgg": Vgg,
    "resnet18": ResNet,
    "bottleneck": lambda w: ResNet(w, "bottleneck"),
    "resnext": lambda w: ResNet(w, "bottleneck", 4),
    "mobilenetv2": MobileNet,
    "mobilenetv3": lambda w: MobileNet(w, True),
    "densenet": DenseNet,
    "yolo": Yolo,
    "shufflenet": ShuffleNet,
    "unet": UNet,
    "vit": Vit,
    "convnext": ConvNext,
    "lstm": Recurrent,
}
FURTHER = {
    "shufflev1": ShuffleV1,
    "bilstm": lambda w: Recurrent(w, nn.LSTM, True),
    "gru": lambda w: Recurrent(w, nn.GRU),
    "bigru": lambda w: Recurrent(w, nn.GRU, True),
    "vit-sdpa": lambda w: Vit(w, SdpaAttention),
    "cbam": Cbam,
    "gated": Gated,
    "pixelshuffle": ManualShuffle,
    "groupnorm": GroupNormNet,
    "rope": Rope,
    "mixer": Mixer,
    "swin": Swin,
    "res2net": Res2Net,
    "ghost": Ghost,
    "conformer": Conformer,
    "crnn": Crnn,
    "volume": Volume,
    "siamese": Siamese,
    "deeplab": Deeplab,
    "selective": SelectiveKernel,
    "linear-attention": LinearAttention,
}
FAMILIES = KNOWN | FURTHER
MORE = {**convolutional.FAMILIES, **prediction.FAMILIES, **transformers.FAMILIES, **series.FAMILIES}
"""Families that the pass was not made with: all of them take minutes."""

_SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "lstm": ((1, 6, 12),), "bilstm": ((1, 6, 12),), "gru": ((1, 6, 12),), "bigru": ((1, 6, 12),),
    "linear-attention": ((1, 6, 12),), "conformer": ((1, 9, 20),), "crnn": ((1, 1, 16, 24),),
    "volume": ((1, 2, 8, 8, 8),), "siamese": ((1, 3, 32, 32), (1, 3, 32, 32)), "rope": ((1, 16),),
    "generator": ((1, 16), (1,)), "style": ((1, 3, 16, 16), (1, 16)), "unet3d": ((1, 1, 8, 8, 8),),
    "unshuffle": ((1, 3, 16, 16),), "gpt": ((1, 12),), "llama": ((1, 12),), "t5": ((1, 9), (1, 7)), "bert": ((1, 11),),
    "gmlp": ((1, 9, 10),), "perceiver": ((1, 9, 7),), "tcn": ((1, 6, 20),), "wavenet": ((1, 6, 20),),
    "mamba": ((1, 5, 6),), "seq2seq": ((1, 8),), "cells": ((1, 4, 6),), "tied-autoencoder": ((3, 40),),
    "experts": ((3, 8),), "bmm": ((3, 8),), "graph": ((6, 6), (6, 6)), "deepfm": ((2, 3), (2, 5)),
}  # fmt: skip
_VOCABULARIES = {
    "rope": (50,), "generator": (0, 7), "gpt": (40,), "llama": (40,), "t5": (40, 40), "bert": (40,), "seq2seq": (30,),
    "deepfm": (20, 0),
}  # fmt: skip
"""Of inputs that are integers, what they are below; 0 for the others."""


def example(name: str) -> tuple[Tensor, ...]:
    """Return example inputs of a family, the same every time."""
    generator = torch.Generator().manual_seed(1)
    shapes = _SHAPES.get(name, ((1, 3, 32, 32),))
    limits = _VOCABULARIES.get(name, (0,) * len(shapes))
    return tuple(
        torch.randint(0, limit, shape, generator=generator) if limit else torch.randn(shape, generator=generator)
        for shape, limit in zip(shapes, limits, strict=True)
    )


def build(name: str, width: int = 16) -> nn.Module:
    """Return a family's network in evaluation mode with random parameters and statistics."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net = (FAMILIES | MORE)[name](width).eval()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is not None:
            module.running_mean.normal_(0, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.normal_(0, 0.5, generator=generator)
    return net


def export(name: str, width: int = 16, *, dynamo: bool = False, dynamic: bool = False) -> bytes:
    """Return a family's network as an ONNX file.

    Args:
        name: of the family.
        width: 16 is the full width.
        dynamo: by `torch.export`, else by TorchScript.
        dynamic: with a batch of any size.
    """
    stream, inputs = io.BytesIO(), example(name)
    names = [f"x{i}" for i in range(len(inputs))]
    options: dict[str, object] = {}
    if dynamic and dynamo:
        options["dynamic_shapes"] = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    elif dynamic:
        options["dynamic_axes"] = {each: {0: "batch"} for each in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(
                build(name, width), inputs, dynamo=True, input_names=names, verbose=False, **options
            )
            program.save(stream)
        else:
            opset = 17
            torch.onnx.export(
                build(name, width), inputs, stream, dynamo=False, input_names=names, opset_version=opset, **options
            )
    return stream.getvalue()
