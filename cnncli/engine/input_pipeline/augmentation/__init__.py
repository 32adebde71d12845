"""Random changes of training images, made on the device from (seed, step) alone."""

from cnncli.engine.input_pipeline.augmentation.augmentation import Augmentation, samples

__all__ = ["Augmentation", "samples"]
