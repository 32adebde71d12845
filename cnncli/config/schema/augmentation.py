"""Random changes of the training images, with Keras's names, arguments and defaults.

Every parameter without a unit is a share: of the image's height or width, of a full turn, of the range
of pixel values. A single factor `f` means the range from −f to f, a pair its two ends.
"""

from typing import Annotated, Literal

from pydantic import Field

from cnncli.layers.base import Spec

Share = Annotated[float, Field(ge=0, le=1)]
SignedShare = Annotated[float, Field(ge=-1, le=1)]
Scale = Annotated[float, Field(ge=0.1, le=10)]
Pixels = Annotated[int, Field(ge=1)]
Shift = SignedShare | tuple[SignedShare, SignedShare]
Range = Share | tuple[Share, Share]
FillMode = Literal["reflect", "constant", "wrap", "nearest"]
FillValue = float | Literal["mean"]
Interpolation = Literal["bilinear", "nearest"]


class Augmentation(Spec):
    """One random change, made to training images only."""


class RandomFlip(Augmentation):
    """Mirror images at random."""

    mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = Field(
        default="horizontal_and_vertical", description="Axes along which an image may be flipped."
    )


class Filled(Augmentation):
    """A change after which places without a pixel must be filled."""

    fill_mode: FillMode = Field(default="reflect", description="How to fill pixels that move in from outside.")
    fill_value: FillValue = Field(
        default=0.0, description="Pixel value for fill_mode constant; mean: of each image, channel by channel."
    )


class Moved(Filled):
    """A change that moves pixels to places between others."""

    interpolation: Interpolation = Field(default="bilinear", description="Interpolation between pixels.")


class RandomTranslation(Moved):
    """Shift images up, down, left or right."""

    height_factor: Shift = Field(description="Largest shift down (negative: up), as a fraction of the height.")
    width_factor: Shift = Field(description="Largest shift right (negative: left), as a fraction of the width.")


class RandomRotation(Moved):
    """Turn images about their centre."""

    factor: Shift = Field(description="Largest rotation as a fraction of a full turn; 0.1 is 36°.")


class RandomRotate90(Filled):
    """Turn images by 0°, 90°, 180° or 270°, each as often; pixels keep their values.

    An image that is not square keeps its scale too, as RandomRotation has it: turned by 90° or 270°, it loses both ends
    of its longer side, and the place beside it is filled.
    """

    fill_mode: FillMode = Field(default="constant", description="How to fill the place beside a turned image.")


class RandomZoom(Moved):
    """Enlarge or shrink images; a negative factor enlarges."""

    height_factor: Shift = Field(description="Largest zoom along the height.")
    width_factor: Shift | None = Field(
        default=None, description="Largest zoom along the width; null keeps the aspect ratio."
    )


class RandomScale(Moved):
    """Enlarge or shrink images and show a random part: what segmentation recipes call random scale and crop.

    An image that was shrunk lies at a random place, the rest is filled. With `size` the network learns from parts
    of that size, at less cost, and still computes whole images when it predicts.
    """

    factor: tuple[Scale, Scale] = Field(
        default=(0.5, 2.0), description="Smallest and largest scale; below 1 the image shrinks."
    )
    size: tuple[Pixels, Pixels] | None = Field(
        default=None, description="Height and width of the part in pixels; null: the image's."
    )
    fill_mode: FillMode = Field(default="constant", description="How to fill what a shrunken image leaves free.")


class RandomElasticTransform(Moved):
    """Bend images as if they were drawn on rubber, in waves about a tenth as long as the shorter side.

    Reference: Simard et al., ICDAR 2003.
    """

    factor: Range = Field(default=1.0, description="Probability of bending.")
    scale: Range = Field(default=1.0, description="Strength and smoothness; one number: from 0 to it.")


class RandomCrop(Filled):
    """Cut a part out of the image at a random place.

    With `padding: 4` and no size it is the usual change for CIFAR-10: four pixels of border are added on
    every side, and a part of the image's own size is cut out. A smaller part is enlarged to the image's size.
    """

    height: Pixels | None = Field(default=None, description="Height in pixels; null: the image's.")
    width: Pixels | None = Field(default=None, description="Width in pixels; null: the image's.")
    padding: int = Field(default=0, ge=0, description="Border on every side before cropping, in pixels.")
    fill_mode: FillMode = Field(default="constant", description="How to fill the border.")

    def fits(self, image_size: tuple[int, int]) -> bool:
        """Say whether the part is no larger than the image with its border."""
        lengths = zip((self.height, self.width), image_size, strict=True)
        return all(part is None or part <= length + 2 * self.padding for part, length in lengths)


class RandomBrightness(Augmentation):
    """Add the same random number to all pixels of an image."""

    factor: Shift = Field(description="Largest change as a fraction of the range of pixel values.")


class RandomContrast(Augmentation):
    """Stretch or squeeze the pixel values around their mean."""

    factor: Range = Field(description="Contrast is multiplied by a number from 1 − factor to 1 + factor.")


class RandomErasing(Augmentation):
    """Overwrite a random rectangle of the image.

    Reference: Zhong et al., AAAI 2020.
    """

    factor: Range = Field(default=1.0, description="Probability of erasing.")
    scale: tuple[Share, Share] = Field(default=(0.02, 0.33), description="Smallest and largest fraction of the image.")
    fill_value: float | None = Field(default=None, description="Pixel value to write; null writes noise.")


class MixUp(Augmentation):
    """Blend pairs of images and their labels.

    Reference: Zhang et al., ICLR 2018.
    """

    alpha: Share = Field(default=0.2, description="Strength of the mixing: parameter of the beta distribution.")


class CutMix(Augmentation):
    """Paste a patch of one image into another and mix their labels by area.

    Reference: Yun et al., ICCV 2019.
    """

    factor: Range = Field(default=1.0, description="Range from which the mixing weight is drawn.")


class Mosaic(Moved):
    """Combine four images of the batch in one, around a random place.

    Each image is enlarged or shrunk. A larger one shows a random part, a smaller one lies at a random place of its
    part, and the rest is filled. Labels are mixed by area; masks and boxes move along, the objects of all four.

    Reference: Bochkovskiy et al., YOLOv4, 2020.
    """

    probability: Share = Field(default=1.0, description="Probability of combining.")
    offset: tuple[Share, Share] = Field(
        default=(0.25, 0.75), description="Where the four meet: smallest and largest fraction of the height and width."
    )
    scale: tuple[Scale, Scale] = Field(
        default=(0.5, 1.5), description="Smallest and largest scale of each image; below 1 it shrinks."
    )
    fill_mode: FillMode = Field(default="constant", description="How to fill what a shrunken image leaves free.")


class RandAugment(Augmentation):
    """Apply a few random changes drawn from a fixed list.

    Reference: Cubuk et al., NeurIPS 2020.
    """

    num_ops: int = Field(default=2, ge=1, description="Number of changes applied to each image.")
    factor: Share = Field(default=0.5, description="Strength of the changes.")
    interpolation: Interpolation = Field(default="bilinear", description="Interpolation between pixels.")


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    c.type_name(): c
    for c in (
        RandomFlip,
        RandomTranslation,
        RandomRotation,
        RandomRotate90,
        RandomZoom,
        RandomScale,
        RandomElasticTransform,
        RandomCrop,
        RandomBrightness,
        RandomContrast,
        RandomErasing,
        MixUp,
        CutMix,
        Mosaic,
        RandAugment,
    )
}
