"""Networks that end in planes, in PyTorch: that of segmentation, and that of detection with its loss.

Usage: python torch_planes.py GIVEN.npz

prints the detector's first loss from the weights, images and planes of a file that `same_loss.py` writes.
"""

import sys

import numpy as np
import torch
from box_planes import NUM_CLASSES, STRIDE
from torch import nn


def conv(inputs, filters, size, strides=1, relu=True):
    """Return a convolution, batch normalization and ReLU."""
    stack = [
        nn.Conv2d(inputs, filters, size, strides, size // 2, bias=False),
        nn.BatchNorm2d(filters, eps=1e-3),
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


class Detector(nn.Module):
    """The network of detector.yaml."""

    def __init__(self):
        super().__init__()
        self.fourth = nn.Sequential(conv(3, 32, 3, 2), conv(32, 64, 3, 2), Residual(64))
        self.eighth = nn.Sequential(conv(64, 128, 3, 2), Residual(128))
        self.sixteenth = nn.Sequential(conv(128, 160, 3, 2), Residual(160), Residual(160), conv(160, 128, 1))
        self.up1, self.between, self.up2 = Up(128, 128), conv(128, 64, 1), Up(64, 64)
        self.heatmap = nn.Sequential(conv(64, 64, 3), nn.Conv2d(64, NUM_CLASSES, 1))
        self.box = nn.Sequential(conv(64, 64, 3), nn.Conv2d(64, 4, 1))
        nn.init.constant_(self.heatmap[1].bias, -4.6)  # a probability of 0.01: most places are no object's centre

    def forward(self, images):
        """Return logits, and logarithms of the distances to the box's edges, for every fourth pixel along an axis."""
        fourth = self.fourth(images)
        eighth = self.eighth(fourth)
        joined = self.up2(self.between(self.up1(self.sixteenth(eighth), eighth)), fourth)
        return torch.cat([self.heatmap(joined), self.box(joined)], dim=1)


def detection_loss(outputs, planes):
    """Return the mean focal loss of the centres, and 5 · (1 − GIoU) of the boxes of the cells around them.

    Args:
        outputs: What the detector ends in, channels first.
        planes: As `box_planes.painted` makes them, channels last.
    """
    outputs = outputs.permute(0, 2, 3, 1)
    heatmap, corners, weights = planes[..., :NUM_CLASSES], planes[..., NUM_CLASSES:-1], planes[..., -1]
    logits, edges = outputs[..., :NUM_CLASSES], outputs[..., NUM_CLASSES:]
    yes, no = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
    is_centre = heatmap == 1
    focal = torch.where(is_centre, (2 * no).exp() * yes, (1 - heatmap) ** 4 * (2 * yes).exp() * no)
    number = is_centre.sum((1, 2, 3)).clamp(min=1)
    boxes = ((1 - giou(boxes_of(edges), corners)) * weights).sum((1, 2))
    return (-focal.sum((1, 2, 3)) / number + 5 * boxes / (weights.sum((1, 2)) + 1e-4)).mean()


def boxes_of(edges):
    """Return each cell's box in pixels: xmin, ymin, xmax, ymax."""
    rows, columns = edges.shape[1:3]
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    distances = STRIDE * edges.clamp(-6, 6).exp()
    low, high = distances.split(2, dim=-1)
    middles = STRIDE * torch.stack([x, y], dim=-1)
    return torch.cat([middles - low, middles + high], dim=-1)


def giou(boxes, others):
    """Return the generalized IoU of boxes."""
    smaller, larger = torch.minimum(boxes, others), torch.maximum(boxes, others)
    shared = area((smaller[..., 2:] - larger[..., :2]).clamp(min=0))
    union = area(boxes[..., 2:] - boxes[..., :2]) + area(others[..., 2:] - others[..., :2]) - shared
    hull = area(larger[..., 2:] - smaller[..., :2])
    return shared / union - (hull - union) / hull


def area(sides):
    """Return width times height."""
    return sides[..., 0] * sides[..., 1]


def first_loss(given):
    """Return the detector's loss in a training step, from weights in the order of the layers.

    Keras pads an even plane at its end and PyTorch at both sides. So that both see the same patches, images and kernels
    are turned by 180° here, and what the network ends in is turned back.

    Args:
        given: weights_0, weights_1, … as Keras has them; images, float32 and channels last; and planes.
    """
    model = Detector()
    with torch.no_grad():
        weights = (torch.from_numpy(given[f"weights_{number}"]) for number in range(len(given.files) - 2))
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(next(weights).permute(3, 2, 0, 1).flip(2, 3))
                if layer.bias is not None:
                    layer.bias.copy_(next(weights))
            elif isinstance(layer, nn.BatchNorm2d):
                for own in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                    own.copy_(next(weights))
        images = torch.from_numpy(given["images"]).permute(0, 3, 1, 2).flip(2, 3)
        return detection_loss(model(images).flip(2, 3), torch.from_numpy(given["planes"])).item()


if __name__ == "__main__":
    with np.load(sys.argv[1]) as given:
        print(first_loss(given))
