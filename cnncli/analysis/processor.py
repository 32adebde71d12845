"""What the processor computes with, read where the system says it (Linux)."""

from __future__ import annotations

from pathlib import Path

KERNELS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_tile", "fma")
"""Instruction sets that decide which arithmetic TensorFlow runs, as /proc/cpuinfo names them."""

FLOAT16 = {"avx512_fp16", "amx_fp16", "avx_ne_convert"}
"""Those of which one is needed for convolutions and products in float16."""

_CPUINFO = Path("/proc/cpuinfo")
_GPUS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""Device files of NVIDIA's and AMD's drivers, and of either under Windows' Linux."""


def cpu_field(field: str) -> str | None:
    """Return what the system says of the first core under a name: "model name", "flags"; None where it does not."""
    try:
        with _CPUINFO.open(encoding="utf-8") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), None)
    except OSError:
        return None


def cpu_features() -> list[str]:
    """Return the instruction sets that decide which arithmetic kernels run (Linux; elsewhere empty)."""
    return sorted(set(KERNELS) & set((cpu_field("flags") or "").split()))


def lacks_float16() -> bool:
    """Whether training in float16 would have to do without the instructions: on a CPU that says it has none."""
    flags = cpu_field("flags")
    return flags is not None and not FLOAT16 & set(flags.split()) and not any(gpu.exists() for gpu in _GPUS)
