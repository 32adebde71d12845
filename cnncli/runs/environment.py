"""Where and with what a run was made: what makes its numbers comparable."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from typing import Any

from cnncli import __version__

PACKAGES = ("tensorflow", "keras", "numpy", "ml_dtypes", "pillow")

_OF_LIBRARIES = (
    "TF_",
    "XLA_",
    "ONEDNN_",
    "DNNL_",
    "MKL_",
    "OMP_",
    "KMP_",
    "OPENBLAS_",
    "CUDNN_",
    "CUBLAS_",
    "NVIDIA_TF32",
)
"""How the names begin of variables that TensorFlow and the libraries below it read."""

_WITHOUT_EFFECT = (
    "TF_CPP_",
    "TF_CONFIG",
    "TF_FORCE_GPU",
    "TF_GPU_ALLOCATOR",
    "TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE",
    "ONEDNN_VERBOSE",
    "DNNL_VERBOSE",
    "KMP_INIT",
)
"""How those begin among them that say what is logged, where memory comes from and who the other workers are."""


COMMAND_VARIABLE = "CNNCLI_COMMAND"
"""What a user typed, in the environment of the workers that a launcher starts for it."""


def command() -> str:
    """Return the command that a user started this process with, to paste into a shell."""
    return os.environ.get(COMMAND_VARIABLE) or shlex.join(["cnn", *sys.argv[1:]])


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that make the numbers; None for one that is not there."""
    versions: dict[str, str | None] = {"cnncli": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def variables() -> dict[str, str]:
    """Return the variables of this process that may change the arithmetic of TensorFlow's libraries."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(_OF_LIBRARIES) and not name.startswith(_WITHOUT_EFFECT)
    }


def git_commit() -> str | None:
    """Return the commit of the working folder, with "+changes" where files differ from it, or None outside git."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        commit = _run(git, "rev-parse", "HEAD")
        return commit + ("+changes" if _run(git, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _run(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()  # noqa: S603 - a fixed command


def environment() -> dict[str, Any]:
    """Return what run.json says of the process: command, folder, versions, platform, git commit."""
    return {
        "command": command(),
        "directory": os.getcwd(),  # noqa: PTH109 - as text
        "host": platform.node(),
        "platform": platform.platform(),
        "versions": versions(),
        "git_commit": git_commit(),
    }
