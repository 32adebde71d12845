"""What a detector's planes should be for the boxes of images, painted once before training: nothing moves them."""

import numpy as np

NUM_CLASSES, STRIDE = 3, 4


def painted(boxes, image_size):
    """Return float32 (images, rows, columns, classes + 5): heatmap, corners of the box to learn, and its weight.

    Args:
        boxes: xmin, ymin, xmax, ymax and class of each object, the class −1 where there is none: (images, objects, 5).
        image_size: Height and width of the images.
    """
    rows, columns = (side // STRIDE for side in image_size)
    planes = np.zeros((len(boxes), rows, columns, NUM_CLASSES + 5), np.float32)
    planes[..., NUM_CLASSES + 2 : NUM_CLASSES + 4] = 1  # a box of one pixel, where no object is
    for plane, own in zip(planes, boxes.astype(np.float64), strict=True):
        own = own[own[:, 4] >= 0]
        areas = (own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1])
        for number in np.argsort(-areas, kind="stable"):  # smaller objects are painted over larger ones
            _paint(plane, own[number, :4], int(own[number, 4]), areas[number])
    return planes


def _paint(plane, corners, label, area):
    """Paint a Gaussian of 54 % of the object's size around the cell of its centre."""
    sides = (corners[2:] - corners[:2]) / STRIDE
    column, row = np.floor((corners[:2] + corners[2:]) / 2 / STRIDE)
    across, down = np.maximum(0.54 * sides / 2, 0.5)
    y, x = np.ogrid[: plane.shape[0], : plane.shape[1]]
    distances = ((x - column) / across) ** 2 + ((y - row) / down) ** 2
    inside = distances <= 1
    gaussian = np.exp(-4.5 * distances) * inside
    plane[..., label] = np.maximum(plane[..., label], gaussian)
    plane[inside, NUM_CLASSES : NUM_CLASSES + 4] = corners
    plane[inside, -1] = (gaussian / gaussian.sum() * np.log(max(area, 2.0)))[inside]
