"""A tuned PyTorch script: data in memory, no DataLoader, channels-last, fused optimizer, the network of a config.

Usage: python torch_loop.py NETWORK DATA.npz EPOCHS PRECISION
"""

import statistics
import sys
import time

import numpy as np
import torch
from torch import nn

network, path, epochs, precision = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
torch.manual_seed(0)

with np.load(path) as data:
    x, y, x_test, y_test = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
masks, batch = network == "segnet", 8 if network == "segnet" else 128
# Of a mask, the network tells every fourth pixel along an axis.
y, y_test = (labels[:, 2::4, 2::4] if masks else labels.reshape(-1) for labels in (y, y_test))
if x.ndim == 3:
    x, x_test = x[..., None], x_test[..., None]


def as_tensor(images):
    """Return uint8 NHWC images as channels-last NCHW tensors."""
    return (
        torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    )


x, x_test = as_tensor(x), as_tensor(x_test)
y, y_test = torch.from_numpy(y.astype("int64")), torch.from_numpy(y_test.astype("int64"))
size = len(x) // 10
x_validation, y_validation, x, y = x[-size:], y[-size:], x[:-size], y[:-size]
channels = x.shape[1]


def conv(inputs, filters, size, strides=1, relu=True):
    """Return a convolution, batch normalization and ReLU."""
    stack = [
        nn.Conv2d(inputs, filters, size, strides, size // 2, bias=False),
        nn.BatchNorm2d(filters),
        *([nn.ReLU(inplace=True)] if relu else []),
    ]
    return nn.Sequential(*stack)


class Residual(nn.Module):
    """A residual block."""

    def __init__(self, filters):
        super().__init__()
        self.inner = nn.Sequential(conv(filters, filters, 3), conv(filters, filters, 3, relu=False))

    def forward(self, images):
        """Return what the block makes of images."""
        return torch.relu_(images + self.inner(images))


class Up(nn.Module):
    """Twice the size, added to the plane of the encoder that has it."""

    def __init__(self, channels, filters):
        super().__init__()
        self.side, self.after = conv(channels, filters, 1, relu=False), conv(filters, filters, 3)

    def forward(self, small, large):
        """Return the plane of the larger size."""
        big = nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
        return self.after(torch.relu_(self.side(large) + big))


class SegNet(nn.Module):
    """The network of segnet.yaml."""

    def __init__(self):
        super().__init__()
        self.fourth = nn.Sequential(conv(3, 32, 3, 2), conv(32, 64, 3, 2), Residual(64))
        self.eighth = nn.Sequential(conv(64, 128, 3, 2), Residual(128), Residual(128))
        self.sixteenth = nn.Sequential(conv(128, 256, 3, 2), Residual(256), Residual(256), conv(256, 128, 1))
        self.up1, self.between, self.up2 = Up(128, 128), conv(128, 64, 1), Up(64, 64)
        self.logits = nn.Conv2d(64, 11, 1)

    def forward(self, images):
        """Return a logit per class for every fourth pixel along an axis."""
        fourth = self.fourth(images)
        eighth = self.eighth(fourth)
        return self.logits(self.up2(self.between(self.up1(self.sixteenth(eighth), eighth)), fourth))


STACKS = {
    "lenet5": lambda: [
        nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(inplace=True), nn.Linear(120, 84), nn.ReLU(inplace=True),
        nn.Linear(84, 10),
    ],
    "cifar_net": lambda: [
        nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4096, 512), nn.ReLU(inplace=True), nn.Linear(512, 10),
    ],
    "small_alexnet": lambda: [
        nn.Conv2d(channels, 64, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(64, 64, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1),
        nn.Flatten(), nn.Linear(4096, 384), nn.ReLU(inplace=True), nn.Linear(384, 192), nn.ReLU(inplace=True),
        nn.Linear(192, 10),
    ],
}  # fmt: skip
model = (SegNet() if masks else nn.Sequential(*STACKS[network]())).to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
steps = epochs * -(-len(x) // batch)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16")
loss_function = nn.CrossEntropyLoss(ignore_index=255)


def measure(images, labels):
    """Return the accuracy on a split."""
    model.eval()
    with torch.inference_mode(), autocast:
        size = 50 if masks else 500
        parts = zip(images.split(size), labels.split(size), strict=True)
        correct = sum((model(a.float() / 255).argmax(1) == b).sum().item() for a, b in parts)
    model.train()
    return correct / (labels != 255).sum().item()


epoch_seconds = []
for epoch in range(epochs):
    begun = time.perf_counter()
    order = torch.randperm(len(x))
    for indices in order.split(batch):
        with autocast:
            loss = loss_function(model(x[indices].float() / 255).float(), y[indices])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    epoch_seconds.append(time.perf_counter() - begun)
    print(f"epoch {epoch + 1} validation {measure(x_validation, y_validation):.4f}", flush=True)
seconds = statistics.median(epoch_seconds[1:] or epoch_seconds)
print(
    f"RESULT accuracy {measure(x_test, y_test):.4f} epoch_seconds {seconds:.2f} "
    f"images_per_second {len(x) / seconds:.0f}"
)
