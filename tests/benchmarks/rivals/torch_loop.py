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
    x, y = data["x_train"], data["y_train"].reshape(-1)
    x_test, y_test = data["x_test"], data["y_test"].reshape(-1)
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
model = nn.Sequential(*STACKS[network]()).to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
steps = epochs * -(-len(x) // 128)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16")
loss_function = nn.CrossEntropyLoss()


def measure(images, labels):
    """Return the accuracy on a split."""
    model.eval()
    with torch.inference_mode(), autocast:
        parts = zip(images.split(500), labels.split(500), strict=True)
        correct = sum((model(a.float() / 255).argmax(1) == b).sum().item() for a, b in parts)
    model.train()
    return correct / len(labels)


epoch_seconds = []
for epoch in range(epochs):
    begun = time.perf_counter()
    order = torch.randperm(len(x))
    for indices in order.split(128):
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
