"""The layer vocabulary: everything about a network but its weights, without TensorFlow.

Modules with pydantic models do without `from __future__ import annotations`: pydantic reads the
annotations of all of them at every start, and would compile each text anew.
"""

from cnncli.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from cnncli.layers.base import Layer
from cnncli.layers.channels import ChannelPadding, LayerScale
from cnncli.layers.convolution import Conv1D, Conv2D, Conv3D
from cnncli.layers.dense import Dense
from cnncli.layers.depthwise import DepthwiseConv2D, SeparableConv2D
from cnncli.layers.dropout import Dropout, SpatialDropout2D
from cnncli.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from cnncli.layers.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from cnncli.layers.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    LocalResponseNormalization,
)
from cnncli.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from cnncli.layers.preprocessing import Normalization, Rescaling
from cnncli.layers.reshaping import Flatten, Permute, Reshape
from cnncli.layers.resizing import Cropping2D, Resizing, UpSampling2D, ZeroPadding2D
from cnncli.layers.transpose import Conv2DTranspose

VOCABULARY: dict[str, type[Layer]] = {
    layer.type_name(): layer
    for layer in (
        Conv1D,
        Conv2D,
        Conv3D,
        DepthwiseConv2D,
        SeparableConv2D,
        Conv2DTranspose,
        MaxPooling1D,
        MaxPooling2D,
        MaxPooling3D,
        AveragePooling1D,
        AveragePooling2D,
        AveragePooling3D,
        GlobalAveragePooling1D,
        GlobalAveragePooling2D,
        GlobalAveragePooling3D,
        GlobalMaxPooling1D,
        GlobalMaxPooling2D,
        GlobalMaxPooling3D,
        Dense,
        Flatten,
        Reshape,
        Permute,
        Dropout,
        SpatialDropout2D,
        BatchNormalization,
        LayerNormalization,
        GroupNormalization,
        LocalResponseNormalization,
        LayerScale,
        Activation,
        ReLU,
        LeakyReLU,
        Softmax,
        ZeroPadding2D,
        Cropping2D,
        ChannelPadding,
        UpSampling2D,
        Rescaling,
        Normalization,
        Resizing,
        Concatenate,
        Add,
        Subtract,
        Multiply,
        Average,
        Maximum,
        Minimum,
    )
}
"""The layers that a config can name, by Keras's name."""
