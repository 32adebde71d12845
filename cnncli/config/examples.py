"""An example of every key, optimizer, schedule and augmentation: one line of YAML each, as `cnn help` shows it.

Every one can be part of a config as it is; those of another task than classification say so in a line before. A test
loads them all, and finds what has none.
"""

from __future__ import annotations

_SCENES = "task: segmentation\ndata: {source: digit_scenes}\n"
_MASKS = "task: segmentation\n"
_BOXES = "task: detection\ndata: {source: digit_boxes}\n"
_HEADS = (
    "model: {layers: [Conv2D: {filters: 16, kernel_size: 3, strides: 4, padding: same}], "
    "heads: {heatmap: [Conv2D: {filters: 10, kernel_size: 1}], box: [Conv2D: {filters: 4, kernel_size: 1}]}}"
)

KEYS: dict[str, str] = {
    "extends": "extends: base.yaml",
    "values": "values: {width: 32}",
    "name": "name: photos",
    "task": "task: classification",
    "seed": "seed: 7",
    "data": "data: {source: folder, path: photos, image_size: [96, 96], channels: 3}",
    "data.source": "data: {source: folder, path: photos}",
    "data.path": "data: {source: folder, path: photos.zip}",
    "data.image_size": "data: {image_size: [96, 128]}",
    "data.channels": "data: {channels: 3}",
    "data.images": _MASKS + 'data: {source: masks, path: cells, images: "{split}/photos", masks: "{split}/classes"}',
    "data.masks": _MASKS + "data: {source: masks, path: cells, images: photos, masks: annotations.json}",
    "data.classes": _MASKS + "data: {source: masks, path: cells, classes: {background: 0, cell: 255}}",
    "data.ignore": _MASKS + "data: {source: masks, path: streets, classes: {road: [128, 64, 128]}, ignore: [0, 0, 0]}",
    "data.resize": "data: {resize: {method: area, fit: crop}}",
    "data.resize.method": "data: {resize: {method: area}}",
    "data.resize.fit": "data: {resize: {fit: pad}}",
    "data.validation": "data: {validation: 0.15}",
    "data.train_on_validation": "data: {train_on_validation: true, validation: 0}",
    "data.test": "data: {test: 0.15}",
    "data.folds": "data: {folds: 5, fold: 1}",
    "data.fold": "data: {folds: 5, fold: 2}",
    "data.group": "data: {source: folder, path: photos, group: '^(.+)_[0-9]+'}",
    "data.augmentation": "data: {augmentation: [RandomFlip: {mode: horizontal}, RandomRotation: {factor: 0.05}]}",
    "data.on_bad_image": "data: {on_bad_image: skip}",
    "data.on_bad_box": "task: detection\ndata: {source: voc, path: cells.zip, on_bad_box: clip}\n" + _HEADS,
    "model": "model: {layers: [Flatten, Dense: {units: 10}]}",
    "model.blocks": "model: {blocks: {head: {parameters: [units], layers: [Flatten, Dense: {units: $units}]}}}",
    "model.layers": "model: {layers: [Conv2D: {filters: 16, kernel_size: 3}, Flatten, Dense: {units: 10}]}",
    "model.outputs": "model: {layers: [Flatten, Dense: {units: 10, name: digits}], outputs: {digit: digits}}",
    "model.heads": _BOXES + _HEADS,
    "model.nms": _BOXES + _HEADS.removesuffix("}") + ", nms: matrix}",
    "train": "train: {epochs: 20, batch_size: 64, optimizer: {Adam: {learning_rate: 1e-3}}}",
    "train.epochs": "train: {epochs: 20}",
    "train.batch_size": "train: {batch_size: 64}",
    "train.shards": "train: {batch_size: 64, shards: 8}",
    "train.accumulate": "train: {batch_size: 32, accumulate: 4}",
    "train.optimizer": "train: {optimizer: {SGD: {learning_rate: 0.1, momentum: 0.9}}}",
    "train.schedule": "train: {schedule: {CosineDecay: {warmup_epochs: 1}}}",
    "train.loss": "train: {loss: {label_smoothing: 0.1, class_weights: balanced}}",
    "train.loss.label_smoothing": "train: {loss: {label_smoothing: 0.1}}",
    "train.loss.class_weights": "train: {loss: {class_weights: {cat: 1.0, dog: 2.5}}}",
    "train.loss.dice": _SCENES + "train: {loss: {dice: 0.3}}",
    "train.loss.boundary": _SCENES + "train: {loss: {boundary: 0.2}}",
    "train.loss.focal": _SCENES + "train: {loss: {focal: 2.0}}",
    "train.loss.resolution": _SCENES + "train: {loss: {resolution: image}}",
    "train.loss.auxiliary": _SCENES + "train: {loss: {auxiliary: 0.4}}",
    "train.loss.box": _BOXES + _HEADS + "\ntrain: {loss: {box: l1, box_weight: 1.0}}",
    "train.loss.box_weight": _BOXES + _HEADS + "\ntrain: {loss: {box_weight: 2.0}}",
    "train.loss.focal_alpha": _BOXES + _HEADS + "\ntrain: {loss: {focal_alpha: 1.5}}",
    "train.loss.focal_beta": _BOXES + _HEADS + "\ntrain: {loss: {focal_beta: 3.0}}",
    "train.precision": "train: {precision: mixed_bfloat16}",
    "train.ema": "train: {ema: 0.999}",
    "train.clip_norm": "train: {clip_norm: 1.0}",
    "train.groups": 'train: {groups: [{layers: "conv2d*", learning_rate: 1e-4}]}',
    "train.groups[].layers": 'train: {groups: [{layers: "conv2d*", trainable: false}]}',
    "train.groups[].learning_rate": 'train: {groups: [{layers: "dense*", learning_rate: 1e-2}]}',
    "train.groups[].weight_decay": 'train: {groups: [{layers: "dense*", weight_decay: 0.0}]}',
    "train.groups[].trainable": 'train: {groups: [{layers: "conv2d*", trainable: false}]}',
    "train.start_from": 'train: {start_from: {run: photos, layers: "conv2d*"}}',
    "train.start_from.run": "train: {start_from: {run: runs/photos/20260101-120000}}",
    "train.start_from.weights": "train: {start_from: {weights: imagenet}}",
    "train.start_from.layers": 'train: {start_from: {run: photos, layers: "conv2d*"}}',
    "train.early_stopping": "train: {early_stopping: {patience: 5}}",
    "train.early_stopping.monitor": "train: {early_stopping: {monitor: validation_loss}}",
    "train.early_stopping.patience": "train: {early_stopping: {patience: 10}}",
    "train.early_stopping.min_delta": "train: {early_stopping: {min_delta: 0.001}}",
    "train.max_minutes": "train: {max_minutes: 30}",
    "train.checkpoint": "train: {checkpoint: {every: {minutes: 5}, keep: 3}}",
    "train.checkpoint.every": "train: {checkpoint: {every: {steps: 500}}}",
    "train.checkpoint.keep": "train: {checkpoint: {keep: 5}}",
    "train.keep_proof": "train: {keep_proof: false}",
    "train.replay": "train: {replay: true}",
    "train.threads": "train: {threads: 2}",
}
"""By the key's path."""

OPTIMIZERS: dict[str, str] = {
    "SGD": "learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5e-4",
    "Adam": "learning_rate: 1e-3, beta_1: 0.9, beta_2: 0.99, epsilon: 1e-8, amsgrad: true, weight_decay: 1e-4",
    "AdamW": "learning_rate: 1e-3, weight_decay: 0.01, beta_1: 0.9, beta_2: 0.99, epsilon: 1e-8, amsgrad: true",
    "RMSprop": "learning_rate: 1e-3, rho: 0.95, momentum: 0.9, epsilon: 1e-3, centered: true, weight_decay: 1e-5",
    "Adagrad": "learning_rate: 0.01, initial_accumulator_value: 0.1, epsilon: 1e-8, weight_decay: 1e-4",
    "Adadelta": "learning_rate: 1.0, rho: 0.9, epsilon: 1e-6, weight_decay: 1e-4",
    "Lion": "learning_rate: 1e-4, beta_1: 0.95, beta_2: 0.98, weight_decay: 0.01",
    "Muon": "learning_rate: 0.02, weight_decay: 0.01, momentum: 0.95, nesterov: true, ns_steps: 5, rms_rate: null, "
    "exclude_layers: [dense], adam_beta_1: 0.9, adam_beta_2: 0.95, adam_weight_decay: 0.01, adam_lr_ratio: 0.05, "
    "epsilon: 1e-8",
}
"""All arguments of each, by its name."""

SCHEDULES: dict[str, str] = {
    "Constant": "warmup_epochs: 1",
    "StepDecay": "every: 10, factor: 0.5, warmup_epochs: 1",
    "PiecewiseConstant": "boundaries: [10, 20], values: [1.0, 0.1, 0.01], warmup_epochs: 1",
    "ExponentialDecay": "decay_rate: 0.97, decay_epochs: 2.4, staircase: true, warmup_epochs: 5",
    "PolynomialDecay": "power: 2, alpha: 0.01, warmup_epochs: 1",
    "CosineDecay": "alpha: 0.01, warmup_epochs: 1",
    "LinearDecay": "alpha: 0.01, warmup_epochs: 1",
    "OneCycle": "peak: 0.25, start: 0.1, end: 0.001, warmup_epochs: 0",
    "ReduceLROnPlateau": "monitor: validation_loss, factor: 0.2, patience: 5, min_delta: 0.001, cooldown: 2, "
    "warmup_epochs: 1",
}
"""All arguments of each, by its name."""

AUGMENTATION: dict[str, str] = {
    "RandomFlip": "mode: horizontal",
    "RandomTranslation": "height_factor: 0.1, width_factor: [-0.2, 0.2], fill_mode: nearest, fill_value: 0, "
    "interpolation: nearest",
    "RandomRotation": "factor: 0.05, fill_mode: constant, fill_value: 255, interpolation: bilinear",
    "RandomRotate90": "fill_mode: nearest, fill_value: 0",
    "RandomZoom": "height_factor: [-0.2, 0.1], width_factor: [-0.2, 0.1], fill_mode: wrap, fill_value: 0, "
    "interpolation: nearest",
    "RandomScale": "factor: [0.5, 2.0], size: [20, 24], fill_mode: constant, fill_value: mean, interpolation: bilinear",
    "RandomElasticTransform": "factor: 0.8, scale: [0.3, 0.7], fill_mode: reflect, fill_value: 0, "
    "interpolation: bilinear",
    "RandomCrop": "padding: 4, height: 28, width: 28, fill_mode: constant, fill_value: mean",
    "RandomBrightness": "factor: 0.2",
    "RandomContrast": "factor: 0.3",
    "RandomErasing": "factor: 0.5, scale: [0.02, 0.2], fill_value: 0",
    "MixUp": "alpha: 0.2",
    "CutMix": "factor: 0.5",
    "Mosaic": "probability: 0.5, offset: [0.3, 0.7], scale: [0.5, 1.0], fill_mode: constant, fill_value: 0, "
    "interpolation: bilinear",
    "RandAugment": "num_ops: 2, factor: 0.4, interpolation: bilinear",
}
"""All arguments of each, by its name."""

_PLACES = {
    "optimizers": (OPTIMIZERS, "train: {{optimizer: {{{}: {{{}}}}}}}"),
    "schedules": (SCHEDULES, "train: {{schedule: {{{}: {{{}}}}}}}"),
    "augmentation": (AUGMENTATION, "data: {{augmentation: [{}: {{{}}}]}}"),
}


def example_of(family: str, name: str) -> str | None:
    """Return one line of a config with all arguments of an optimizer, a schedule or an augmentation.

    Args:
        family: Its key in `FAMILIES`: "optimizers".
        name: Its own name: "SGD".
    """
    if family not in _PLACES or name not in _PLACES[family][0]:
        return None
    arguments, place = _PLACES[family]
    return place.format(name, arguments[name])
