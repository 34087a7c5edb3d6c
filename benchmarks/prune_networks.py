"""Networks of real size to prune: ResNet-56 for CIFAR, ResNet-18 and -50 for ImageNet (100 MB), a 1 GB transformer."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Block(nn.Module):
    """A residual block: 3x3, 3x3, or with a bottleneck of `inner` channels."""

    def __init__(self, i: int, o: int, s: int, inner: int = 0) -> None:
        super().__init__()
        sizes = [(i, inner, 1), (inner, inner, 3), (inner, o, 1)] if inner else [(i, o, 3), (o, o, 3)]
        layers: list[nn.Module] = []
        for number, (a, b, k) in enumerate(sizes):
            layers += [nn.Conv2d(a, b, k, s if number == bool(inner) else 1, k // 2, bias=False), nn.BatchNorm2d(b)]
            layers += [nn.ReLU()] if number < len(sizes) - 1 else []
        self.body = nn.Sequential(*layers)
        self.shortcut = nn.Sequential()
        if s > 1 or i != o:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, stem: int, stages: list[tuple[int, int]], classes: int, *, bottleneck: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()]
        i = stem
        for number, (width, depth) in enumerate(stages):
            o = 4 * width if bottleneck else width
            for place in range(depth):
                layers.append(Block(i, o, 2 if number and not place else 1, width if bottleneck else 0))
                i = o
        self.body, self.head = nn.Sequential(*layers), nn.Linear(i, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def resnet56() -> nn.Module:
    return ResNet(16, [(16, 9), (32, 9), (64, 9)], 10, bottleneck=False).eval()


def resnet18() -> nn.Module:
    return ResNet(64, [(64, 2), (128, 2), (256, 2), (512, 2)], 1000, bottleneck=False).eval()


def resnet50() -> nn.Module:
    return ResNet(64, [(64, 3), (128, 4), (256, 6), (512, 3)], 1000, bottleneck=True).eval()


NETS = {"resnet56": resnet56, "resnet18": resnet18, "resnet50": resnet50}


def network(name: str) -> nn.Module:
    """Return a network whose BatchNorm statistics are random, as trained ones differ: equal biases would be shared."""
    net = NETS[name]()
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.normal_(0, 0.5, generator=generator)
    return net


def export(name: str, path: Path) -> None:
    """Write a network as ONNX."""
    torch.onnx.export(network(name), (torch.randn(1, 3, 32, 32),), str(path), dynamo=False, opset_version=17)


def write_transformer(path: Path, layers: int = 20, width: int = 1024, vocabulary: int = 20_000) -> None:
    """Write a transformer of about 1 GB with external data, one tensor at a time."""
    rng = np.random.default_rng(0)
    data, offset = path.with_suffix(".data"), 0
    tensors, nodes = [], []
    with data.open("wb") as stream:

        def weight(name: str, *shape: int) -> str:
            nonlocal offset
            tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
            block = (rng.standard_normal(shape, np.float32) / shape[0] ** 0.5).tobytes()
            entries = {"location": data.name, "offset": str(offset), "length": str(len(block))}
            tensor.external_data.extend(onnx.StringStringEntryProto(key=k, value=v) for k, v in entries.items())
            stream.write(block)
            offset += len(block)
            tensors.append(tensor)
            return name

        def node(op: str, inputs: list[str], output: str, **attributes: object) -> str:
            nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
            return output

        for name, numbers in (("split", [1, 64, 16, width // 16]), ("join", [1, 64, width])):
            tensors.append(helper.make_tensor(name, TensorProto.INT64, [len(numbers)], numbers))
        x = node("Gather", [weight("table", vocabulary, width), "ids"], "embedded")
        for i in range(layers):
            h = node("LayerNormalization", [x, weight(f"{i}.g1", width), weight(f"{i}.b1", width)], f"{i}.norm1")
            parts = []
            for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
                y = node("MatMul", [h, weight(f"{i}.{part}.w", width, width)], f"{i}.{part}")
                y = node("Reshape", [y, "split"], f"{i}.{part}.heads")
                parts.append(node("Transpose", [y], f"{i}.{part}.t", perm=order))
            a = node("Softmax", [node("MatMul", parts[:2], f"{i}.scores")], f"{i}.attention")
            a = node("Transpose", [node("MatMul", [a, parts[2]], f"{i}.mixed")], f"{i}.back", perm=[0, 2, 1, 3])
            a = node("Reshape", [a, "join"], f"{i}.joined")
            x = node("Add", [x, node("MatMul", [a, weight(f"{i}.o.w", width, width)], f"{i}.o")], f"{i}.sum1")
            h = node("LayerNormalization", [x, weight(f"{i}.g2", width), weight(f"{i}.b2", width)], f"{i}.norm2")
            h = node("Relu", [node("MatMul", [h, weight(f"{i}.up.w", width, 4 * width)], f"{i}.up")], f"{i}.relu")
            x = node("Add", [x, node("MatMul", [h, weight(f"{i}.dn.w", 4 * width, width)], f"{i}.dn")], f"{i}.sum2")
        node("MatMul", [x, weight("head", width, 16)], "y")
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 64])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64, 16])]
    graph = helper.make_graph(nodes, "transformer", inputs, outputs, tensors)
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
