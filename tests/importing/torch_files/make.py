"""Write the files of this folder with PyTorch: small networks' weights, images, and what PyTorch computes of them.

    python tests/importing/torch_files/make.py

It needs PyTorch, which the project does not depend on; the files it wrote are kept with the tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

FOLDER = Path(__file__).parent


class Block(nn.Module):
    """Two convolutions with batch normalization, and a projection where the channels change."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both ways."""
        way = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(way + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A stem, two blocks, and the mean over all places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Block(4, 4))
        self.layer2 = nn.Sequential(Block(4, 6))
        self.fc = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        x = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(x.mean((2, 3)))


def networks() -> dict[str, tuple[nn.Module, tuple[int, int, int]]]:
    """Return networks and the shapes of their images, channels first."""
    relu = nn.ReLU()
    lenet = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), relu, nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), relu),
        nn.Sequential(nn.Flatten(), nn.Linear(54, 16), relu, nn.Linear(16, 5)),
    )
    alexnet = nn.Sequential(
        *(nn.Conv2d(3, 8, 5, stride=2, padding=2), relu, nn.LocalResponseNorm(5, 0.1, 0.75, 1.0), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 12, 3, padding=1, groups=2), relu, nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(48, 10), relu, nn.Dropout(), nn.Linear(10, 4)),
    )
    layers = nn.Sequential(
        *(nn.ConvTranspose2d(3, 4, 2, stride=2), nn.Conv2d(4, 8, 3, groups=4)),
        *(nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.Conv2d(8, 6, 1)),
        *(nn.GroupNorm(2, 6), nn.MaxPool2d(4), nn.Flatten(), nn.BatchNorm1d(54), nn.Linear(54, 3)),
    )
    return {
        "lenet": (lenet, (1, 12, 12)),
        "alexnet": (alexnet, (3, 16, 16)),
        "resnet": (ResNet(), (3, 8, 8)),
        "layers": (layers, (3, 8, 8)),
    }


def randomize(model: nn.Module) -> None:
    """Give normalizations statistics that no untrained network has."""
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif not name.endswith("num_batches_tracked") and tensor.ndim == 1:
            tensor.uniform_(-1, 1)


def in_unusual_forms(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors of several types, one with its axes in another order in memory, two within one storage."""
    kinds = (torch.float16, torch.bfloat16, torch.float64)
    found = {n: t.to(kinds[i % 3]) if t.is_floating_point() else t for i, (n, t) in enumerate(state.items())}
    found["1.weight"] = found["1.weight"].to(memory_format=torch.channels_last)
    whole = torch.cat([torch.zeros(7), state["0.weight"].flatten(), state["0.bias"]])
    found["0.weight"], found["0.bias"] = whole[7:55].view(3, 4, 2, 2), whole[55:]
    return found


def write_safetensors(path: Path, state: dict[str, torch.Tensor]) -> None:
    """Write a file as the format's description says, sorted by name as its library does."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    contents = b""
    kinds = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
    kinds[torch.int64] = "I64"
    for name, tensor in sorted(state.items()):
        flat = tensor.contiguous().flatten()
        raw = bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b""
        offsets = [len(contents), len(contents) + len(raw)]
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        contents += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + contents)


def main() -> None:
    """Write all files."""
    torch.manual_seed(0)
    known: dict[str, np.ndarray] = {}
    for name, (model, shape) in networks().items():
        randomize(model)
        state = dict(model.state_dict())
        if name == "layers":
            state = in_unusual_forms(state)
            model.load_state_dict(state)
            torch.save({"epoch": 3, "model_state_dict": state, "loss": 0.25}, FOLDER / f"{name}.pt")
        else:
            torch.save(model.state_dict(), FOLDER / f"{name}.pt")
        write_safetensors(FOLDER / f"{name}.safetensors", state)
        images = torch.rand(3, *shape)
        with torch.no_grad():
            known[f"{name}_outputs"] = model.eval()(images).numpy()
        known[f"{name}_images"] = images.permute(0, 2, 3, 1).numpy()
    np.savez_compressed(FOLDER / "known.npz", **known)


if __name__ == "__main__":
    main()
