"""Classic networks in the formats of their time, written from their published sizes."""

from __future__ import annotations

from collections.abc import Iterator

LENET = """
name: "LeNet"
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 64 dim: 1 dim: 28 dim: 28 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 20 kernel_size: 5 stride: 1 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 50 kernel_size: 5 } }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1" inner_product_param { num_output: 500 } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }
"""

QUICK = """
name: "CIFAR10_quick_test"   # the old spelling: input_dim, layers, types in capitals
input: "data"
input_dim: 1 input_dim: 3 input_dim: 32 input_dim: 32
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1
  convolution_param { num_output: 32 pad: 2 kernel_size: 5 stride: 1 } }
layers { name: "pool1" type: POOLING bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "relu1" type: RELU bottom: "pool1" top: "pool1" }
layers { name: "conv2" type: CONVOLUTION bottom: "pool1" top: "conv2"
  convolution_param { num_output: 32 pad: 2 kernel_size: 5 } }
layers { name: "relu2" type: RELU bottom: "conv2" top: "conv2" }
layers { name: "pool2" type: POOLING bottom: "conv2" top: "pool2"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layers { name: "conv3" type: CONVOLUTION bottom: "pool2" top: "conv3"
  convolution_param { num_output: 64 pad: 2 kernel_size: 5 } }
layers { name: "relu3" type: RELU bottom: "conv3" top: "conv3" }
layers { name: "pool3" type: POOLING bottom: "conv3" top: "pool3" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layers { name: "ip1" type: INNER_PRODUCT bottom: "pool3" top: "ip1" inner_product_param { num_output: 64 } }
layers { name: "ip2" type: INNER_PRODUCT bottom: "ip1" top: "ip2" inner_product_param { num_output: 10 } }
layers { name: "prob" type: SOFTMAX bottom: "ip2" top: "prob" }
"""


def _conv(name: str, bottom: str, filters: int, size: int, extra: str = "") -> str:
    return f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  convolution_param {{ num_output: {filters} kernel_size: {size} {extra} }} }}
layer {{ name: "{name}/relu" type: "ReLU" bottom: "{name}" top: "{name}" }}"""


def _pool(name: str, bottom: str, how: str) -> str:
    return f"""
layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" top: "{name}" pooling_param {{ {how} }} }}"""


def _lrn(name: str, bottom: str) -> str:
    return f"""
layer {{ name: "{name}" type: "LRN" bottom: "{bottom}" top: "{name}"
  lrn_param {{ local_size: 5 alpha: 0.0001 beta: 0.75 }} }}"""


def _dense(name: str, bottom: str, units: int, dropout: bool) -> str:
    text = f"""
layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}"
  inner_product_param {{ num_output: {units} }} }}"""
    if not dropout:
        return text
    return (
        text
        + f"""
layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}
layer {{ name: "drop_{name}" type: "Dropout" bottom: "{name}" top: "{name}" dropout_param {{ dropout_ratio: 0.5 }} }}"""
    )


def alexnet() -> str:
    """Return AlexNet with its two groups, as a file for training: data layers, accuracy and loss around it."""
    parts = [
        """
name: "AlexNet"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 227 } data_param { source: "lmdb" batch_size: 256 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { mirror: false crop_size: 227 } }""",
        _conv("conv1", "data", 96, 11, "stride: 4"),
        _lrn("norm1", "conv1"),
        _pool("pool1", "norm1", "pool: MAX kernel_size: 3 stride: 2"),
        _conv("conv2", "pool1", 256, 5, "pad: 2 group: 2"),
        _lrn("norm2", "conv2"),
        _pool("pool2", "norm2", "pool: MAX kernel_size: 3 stride: 2"),
        _conv("conv3", "pool2", 384, 3, "pad: 1"),
        _conv("conv4", "conv3", 384, 3, "pad: 1 group: 2"),
        _conv("conv5", "conv4", 256, 3, "pad: 1 group: 2"),
        _pool("pool5", "conv5", "pool: MAX kernel_size: 3 stride: 2"),
        _dense("fc6", "pool5", 4096, True),
        _dense("fc7", "fc6", 4096, True),
        _dense("fc8", "fc7", 1000, False),
        """
layer { name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }""",
    ]
    return "".join(parts)


def _inception(name: str, bottom: str, f1: int, r3: int, f3: int, r5: int, f5: int, fp: int) -> Iterator[str]:
    yield _conv(f"{name}/1x1", bottom, f1, 1)
    yield _conv(f"{name}/3x3_reduce", bottom, r3, 1)
    yield _conv(f"{name}/3x3", f"{name}/3x3_reduce", f3, 3, "pad: 1")
    yield _conv(f"{name}/5x5_reduce", bottom, r5, 1)
    yield _conv(f"{name}/5x5", f"{name}/5x5_reduce", f5, 5, "pad: 2")
    yield _pool(f"{name}/pool", bottom, "pool: MAX kernel_size: 3 stride: 1 pad: 1")
    yield _conv(f"{name}/pool_proj", f"{name}/pool", fp, 1)
    ends = " ".join(f'bottom: "{name}/{end}"' for end in ("1x1", "3x3", "5x5", "pool_proj"))
    yield f"""
layer {{ name: "{name}/output" type: "Concat" {ends} top: "{name}/output" }}"""


MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet() -> str:
    """Return GoogLeNet with one of its auxiliary heads."""
    parts = [
        """
name: "GoogleNet"
input: "data"
input_shape { dim: 10 dim: 3 dim: 224 dim: 224 }""",
        _conv("conv1/7x7_s2", "data", 64, 7, "pad: 3 stride: 2"),
        _pool("pool1", "conv1/7x7_s2", "pool: MAX kernel_size: 3 stride: 2"),
        _lrn("norm1", "pool1"),
        _conv("conv2/reduce", "norm1", 64, 1),
        _conv("conv2/3x3", "conv2/reduce", 192, 3, "pad: 1"),
        _lrn("norm2", "conv2/3x3"),
        _pool("pool2", "norm2", "pool: MAX kernel_size: 3 stride: 2"),
    ]
    before = "pool2"
    for name, sizes in MODULES.items():
        parts += _inception(f"inception_{name}", before, *sizes)
        before = f"inception_{name}/output"
        if name == "4a":
            parts.append(_pool("aux/pool", before, "pool: AVE kernel_size: 5 stride: 3"))
            parts.append(_conv("aux/conv", "aux/pool", 128, 1))
            parts.append(_dense("aux/fc", "aux/conv", 1000, False))
            parts.append('\nlayer { name: "aux/loss" type: "SoftmaxWithLoss" bottom: "aux/fc" bottom: "label" }')
        if name in ("3b", "4e"):
            parts.append(_pool(f"pool_{name}", before, "pool: MAX kernel_size: 3 stride: 2"))
            before = f"pool_{name}"
    parts.append(_pool("pool5", before, "pool: AVE kernel_size: 7 stride: 1"))
    parts.append(
        '\nlayer { name: "drop" type: "Dropout" bottom: "pool5" top: "pool5" dropout_param { dropout_ratio: 0.4 } }'
    )
    parts.append(_dense("loss3/classifier", "pool5", 1000, False))
    parts.append('\nlayer { name: "prob" type: "Softmax" bottom: "loss3/classifier" top: "prob" }')
    return "".join(parts)


def _darknet_conv(filters: int, size: int, stride: int = 1, activation: str = "leaky") -> str:
    return (
        f"\n[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\nstride={stride}\npad=1\n"
        f"activation={activation}\n"
    )


_MAX = "\n[maxpool]\nsize=2\nstride=2\n"


def darknet19() -> str:
    """Return Darknet-19."""
    text = "[net]\n# Training\nbatch=128\nheight=256\nwidth=256\nchannels=3\nmax_crop=448\npolicy=poly\n"
    text += _darknet_conv(32, 3) + _MAX + _darknet_conv(64, 3) + _MAX
    for filters, number in ((128, 3), (256, 3), (512, 5), (1024, 5)):
        for i in range(number):
            text += _darknet_conv(filters if i % 2 == 0 else filters // 2, 3 if i % 2 == 0 else 1)
        if filters < 1024:
            text += _MAX
    text += "\n[convolutional]\nfilters=1000\nsize=1\nstride=1\npad=1\nactivation=linear\n"
    return text + "\n[avgpool]\n\n[softmax]\ngroups=1\n\n[cost]\ntype=sse\n"


def darknet_resnet18() -> str:
    """Return ResNet-18 as Darknet writes it: shortcuts only where the shape stays, activations after them."""
    text = "[net]\nheight=256\nwidth=256\nchannels=3\n" + _darknet_conv(64, 7, 2) + _MAX
    for filters in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and filters > 64 else 1
            text += _darknet_conv(filters, 3, stride) + _darknet_conv(filters, 3, 1, "linear")
            if stride == 1:
                text += "\n[shortcut]\nfrom=-3\nactivation=leaky\n"
    return text + "\n[avgpool]\n\n[connected]\noutput=1000\nactivation=linear\n\n[softmax]\ngroups=1\n"
