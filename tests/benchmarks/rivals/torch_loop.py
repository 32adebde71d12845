"""A tuned PyTorch script: data in memory, no DataLoader, channels-last, fused optimizer, the network of a config.

Usage: python torch_loop.py NETWORK DATA.npz EPOCHS PRECISION
"""

import statistics
import sys
import time

import numpy as np
import torch
from box_planes import painted
from torch import nn
from torch_planes import Detector, SegNet, detection_loss

network, path, epochs, precision = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
torch.manual_seed(0)

with np.load(path) as data:
    x, y, x_test, y_test = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
masks, boxes = network == "segnet", network == "detector"
batch = 8 if masks or boxes else 128
if boxes:
    y, y_test = (painted(objects, x.shape[1:3]) for objects in (y, y_test))
else:
    # Of a mask, the network tells every fourth pixel along an axis.
    y, y_test = ((labels[:, 2::4, 2::4] if masks else labels.reshape(-1)).astype("int64") for labels in (y, y_test))
if x.ndim == 3:
    x, x_test = x[..., None], x_test[..., None]


def as_tensor(images):
    """Return uint8 NHWC images as channels-last NCHW tensors."""
    return (
        torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    )


x, x_test = as_tensor(x), as_tensor(x_test)
y, y_test = torch.from_numpy(y), torch.from_numpy(y_test)
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
model = SegNet() if masks else Detector() if boxes else nn.Sequential(*STACKS[network]())
model = model.to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
steps = epochs * -(-len(x) // batch)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16")
loss_function = detection_loss if boxes else nn.CrossEntropyLoss(ignore_index=255)


def measure(images, labels):
    """Return the accuracy on a split, or the loss of boxes."""
    model.eval()
    with torch.inference_mode(), autocast:
        size = 50 if masks or boxes else 500
        parts = zip(images.split(size), labels.split(size), strict=True)
        answers = ((model(a.float() / 255).float(), b) for a, b in parts)
        if boxes:
            mean = sum(loss_function(a, b).item() * len(b) for a, b in answers) / len(images)
        else:
            mean = sum((a.argmax(1) == b).sum().item() for a, b in answers) / (labels != 255).sum().item()
    model.train()
    return mean


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
    f"RESULT {'loss' if boxes else 'accuracy'} {measure(x_test, y_test):.4f} epoch_seconds {seconds:.2f} "
    f"images_per_second {len(x) / seconds:.1f}"
)
