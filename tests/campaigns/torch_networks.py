"""Small networks in the forms of torchvision's and timm's, exported by PyTorch itself (needs torch, onnx, onnxscript).

python tests/campaigns/torch_networks.py FOLDER [NETWORK.EXPORTER ...]

Each network is exported by both exporters, for old and new versions of ONNX's operations, with a fixed and an open
number of images. Beside each file NAME.onnx stands NAME.npz: two images, and what PyTorch computes of them from 0 to 1.
With names only those are written, without the exporter's notes of the program that made them:
tests/importing/torch_files/onnx has four.
"""

from __future__ import annotations

import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SIDE = 64
CLASSES = 10


def normalized(inputs: int, filters: int, size: Any, act: Any = nn.ReLU, **more: Any) -> nn.Sequential:
    """Return a convolution, a batch normalization, and an activation."""
    layers = [nn.Conv2d(inputs, filters, size, bias=False, **more), nn.BatchNorm2d(filters), *([act()] if act else [])]
    return nn.Sequential(*layers)


class Sum(nn.Module):
    """A residual block."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, act: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut or nn.Identity(), act or nn.Identity()

    def forward(self, x: Any) -> Any:
        """Return the sum of both ways."""
        return self.act(self.shortcut(x) + self.body(x))


class Joined(nn.Module):
    """Branches whose channels are concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Any) -> Any:
        """Return all channels."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Gated(nn.Module):
    """Squeeze and excite: each channel times what a small network says of all means."""

    def __init__(self, channels: int, act: Any, gate: Any) -> None:
        super().__init__()
        inside = channels // 4
        steps = (nn.Conv2d(channels, inside, 1), act(), nn.Conv2d(inside, channels, 1), gate())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), *steps)

    def forward(self, x: Any) -> Any:
        """Return the weighted channels."""
        return x * self.gate(x)


class Lambda(nn.Module):
    """A function of a value."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        """Return what the function does."""
        return self.function(x)


class Standardized(nn.Module):
    """Images minus a mean, divided by deviations, as preprocessing inside of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x: Any) -> Any:
        """Return the standardized images."""
        return (x - self.mean) / self.deviation


def classifier(channels: int) -> list[nn.Module]:
    """Return global means and a dense layer."""
    return [nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(1), nn.Linear(channels, CLASSES)]


def basic(inputs: int, filters: int, stride: int) -> nn.Module:
    """Return a block of a ResNet."""
    body = nn.Sequential(
        normalized(inputs, filters, 3, stride=stride, padding=1), normalized(filters, filters, 3, None, padding=1)
    )
    shortcut = None if stride == 1 and inputs == filters else normalized(inputs, filters, 1, None, stride=stride)
    return Sum(body, shortcut, nn.ReLU())


def resnet() -> nn.Module:
    """Return a ResNet."""
    stem = (normalized(3, 16, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*stem, basic(16, 16, 1), basic(16, 32, 2), *classifier(32))


def mobilenet(act: Any, gate: Any = None) -> nn.Module:
    """Return inverted residuals, with or without squeeze-and-excite."""

    def inverted(inputs: int, filters: int, stride: int) -> nn.Module:
        inside = 4 * inputs
        body = nn.Sequential(
            normalized(inputs, inside, 1, act),
            normalized(inside, inside, 3, act, stride=stride, padding=1, groups=inside),
            gate(inside) if gate else nn.Identity(),
            normalized(inside, filters, 1, None),
        )
        return Sum(body) if stride == 1 and inputs == filters else body

    stem = normalized(3, 16, 3, act, stride=2, padding=1)
    dense = nn.Sequential(nn.Dropout(0.2), nn.Linear(24, CLASSES))
    return nn.Sequential(stem, inverted(16, 16, 1), inverted(16, 24, 2), Lambda(lambda x: x.mean([2, 3])), dense)


def vgg() -> nn.Module:
    """Return a VGG, whose adaptive pooling leaves planes of that size as they are, and probabilities."""
    steps = (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(4), nn.AdaptiveAvgPool2d((16, 16)))
    return nn.Sequential(
        *steps, nn.Flatten(), nn.Linear(8 * 256, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10), nn.Softmax(1)
    )


def densenet() -> nn.Module:
    """Return a dense block, a transition and a normalization of its own."""

    def layer(inputs: int) -> nn.Module:
        new = (nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 8, 3, padding=1, bias=False))
        return Joined(nn.Identity(), nn.Sequential(*new))

    transition = (nn.BatchNorm2d(40), nn.ReLU(), nn.Conv2d(40, 20, 1, bias=False), nn.AvgPool2d(2, 2))
    stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
    return nn.Sequential(
        stem, layer(16), layer(24), layer(32), *transition, nn.BatchNorm2d(20), nn.ReLU(), *classifier(20)
    )


def unet(up: nn.Module) -> nn.Module:
    """Return a U-Net of one level."""
    inside = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), up)
    last = (nn.Conv2d(16, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1))
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), Joined(nn.Identity(), inside), *last)


def larger(mode: str) -> nn.Module:
    """Return planes of twice the size and half the channels."""
    corners = None if mode == "nearest" else False
    return nn.Sequential(nn.Upsample(scale_factor=2, mode=mode, align_corners=corners), nn.Conv2d(16, 8, 1))


def lenet() -> nn.Module:
    """Return a LeNet that flattens by `view`."""
    convolutions = (nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(6, 8, 5), nn.Tanh(), nn.MaxPool2d(2))
    flat = Lambda(lambda x: x.view(x.size(0), -1))
    return nn.Sequential(*convolutions, flat, nn.Linear(200, 84), nn.LeakyReLU(), nn.Linear(84, 10), nn.LogSoftmax(1))


def squeezenet() -> nn.Module:
    """Return fire modules, poolings that round up, and a classifier of 1×1 convolutions."""

    def fire(inputs: int, inside: int, filters: int) -> nn.Module:
        wide = nn.Sequential(nn.Conv2d(inside, filters, 3, padding=1), nn.ReLU())
        narrow = nn.Sequential(nn.Conv2d(inside, filters, 1), nn.ReLU())
        return nn.Sequential(nn.Conv2d(inputs, inside, 1), nn.ReLU(), Joined(narrow, wide))

    pool = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
    steps = (nn.Conv2d(3, 16, 3, 2), nn.ReLU(), pool(), fire(16, 4, 8), fire(16, 4, 16), pool())
    return nn.Sequential(*steps, nn.Dropout(), nn.Conv2d(32, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(1))


def inception() -> nn.Module:
    """Return branches with windows of unlike sides, and means that count margins."""
    long = nn.Sequential(
        normalized(16, 8, 1), normalized(8, 8, (1, 7), padding=(0, 3)), normalized(8, 8, (7, 1), padding=(3, 0))
    )
    mean = nn.Sequential(nn.AvgPool2d(3, 1, 1), normalized(16, 8, 1))
    largest = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), normalized(16, 8, 1))
    stem = (Standardized(), normalized(3, 16, 3, stride=2), nn.MaxPool2d(3, 2, ceil_mode=True))
    return nn.Sequential(*stem, Joined(normalized(16, 8, 1), long, mean, largest), nn.AvgPool2d(2), *classifier(32))


def convnext() -> nn.Module:
    """Return a block of large depthwise windows and GELU."""
    block = (nn.Conv2d(16, 16, 7, padding=3, groups=16), nn.BatchNorm2d(16), nn.Conv2d(16, 64, 1), nn.GELU())
    body = nn.Sequential(*block, nn.Conv2d(64, 16, 1))
    stem = (nn.Conv2d(3, 16, 4, 4), nn.BatchNorm2d(16))
    return nn.Sequential(*stem, Sum(body), Lambda(lambda x: x.mean((-2, -1))), nn.Linear(16, 10))


def activations() -> nn.Module:
    """Return computed margins, and activations that one version of ONNX has and another writes out."""
    kinds = (nn.Mish(), nn.SELU(), nn.ELU(), nn.Softsign(), nn.Softplus(), nn.GELU(), nn.Hardtanh(), nn.PReLU())
    margins = Lambda(lambda x: functional.pad(x, (0, 1, 0, 1)))
    layers = [layer for kind in kinds for layer in (nn.Conv2d(8, 8, 3), kind)]
    return nn.Sequential(
        margins, nn.Conv2d(3, 8, 3, 2), *layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    )


NETWORKS = {
    "resnet": resnet,
    "mobilenet_v2": partial(mobilenet, nn.ReLU6),
    "mobilenet_v3": partial(mobilenet, nn.Hardswish, partial(Gated, act=nn.ReLU, gate=nn.Hardsigmoid)),
    "efficientnet": partial(mobilenet, nn.SiLU, partial(Gated, act=nn.SiLU, gate=nn.Sigmoid)),
    "vgg": vgg,
    "densenet": densenet,
    "unet_transposed": partial(unet, nn.ConvTranspose2d(16, 8, 2, 2)),
    "unet_nearest": partial(unet, larger("nearest")),
    "unet_bilinear": partial(unet, larger("bilinear")),
    "lenet": lenet,
    "squeezenet": squeezenet,
    "inception": inception,
    "convnext": convnext,
    "activations": activations,
}

_OPEN = {"dynamic_axes": {"images": {0: "batch"}}}
EXPORTERS: dict[str, dict[str, Any]] = {
    "script_11": {"dynamo": False, "opset_version": 11, **_OPEN},
    "script_13_unfolded": {"dynamo": False, "opset_version": 13, "do_constant_folding": False, **_OPEN},
    "script_17": {"dynamo": False, "opset_version": 17},
    "script_training": {"dynamo": False, "opset_version": 15, "training": torch.onnx.TrainingMode.PRESERVE},
    "dynamo": {"dynamo": True, "external_data": False},
    "dynamo_open": {"dynamo": True, "external_data": False, "dynamic_shapes": ({0: torch.export.Dim("batch")},)},
}


def drawn(make: Any) -> nn.Module:
    """Return a network with random weights and statistics."""
    torch.manual_seed(0)
    network: nn.Module = make()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.running_var, layer.weight):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (layer.running_mean, layer.bias):
                nn.init.normal_(tensor, 0, 0.1)
    return network.eval()


def without_traces(path: Path) -> None:
    """Take out of a file what the exporter notes of the program's own source files."""
    import onnx

    model = onnx.load(path)
    for noted in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del noted.metadata_props[:]
    for node in model.graph.node:
        node.ClearField("doc_string")
    onnx.save(model, path)


def main() -> None:
    """Write the files; name those that an exporter refuses."""
    warnings.simplefilter("ignore")
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    for name, make in NETWORKS.items():
        network = drawn(make)
        colours = np.random.default_rng(0).integers(0, 256, (2, SIDE // 4, SIDE // 4, 3), np.uint8)
        kept = colours.repeat(4, axis=1).repeat(4, axis=2)
        images = torch.from_numpy(kept.astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()
        expected = network(images).detach().numpy()
        for exporter, arguments in EXPORTERS.items():
            path = folder / f"{name}.{exporter}.onnx"
            if wanted and path.stem not in wanted:
                continue
            given = images if "batch" in str(arguments) else images[:1]
            try:
                torch.onnx.export(network, (given,), path, input_names=["images"], verbose=False, **arguments)
            except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
                print(f"not exported: {path.stem}: {str(error).splitlines()[0][:100]}")
                continue
            if wanted:
                without_traces(path)
            np.savez_compressed(path.with_suffix(".npz"), images=kept, expected=expected)


if __name__ == "__main__":
    main()
