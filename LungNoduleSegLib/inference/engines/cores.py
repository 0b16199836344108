"""The computer, as the system tells it without any package: cores for threads, a GPU's driver, what cannot be there."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_CPUINFO = Path("/proc/cpuinfo")


def usable_cores() -> int:
    """Cores that this process may use, ``OMP_NUM_THREADS`` at most; hardware threads of one core count once on Linux.

    A second hardware thread of a core adds nothing to arithmetic that keeps the core's units busy.
    """
    if hasattr(os, "sched_getaffinity"):
        found = len({_siblings(cpu) for cpu in os.sched_getaffinity(0)})
    else:
        found = os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(found, int(wanted)) if wanted.isdigit() and int(wanted) > 0 else found


def _siblings(cpu: int) -> str:
    try:
        return (_CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def nvidia_driver() -> bool:
    """Whether an NVIDIA driver is installed, by what it leaves on the disk."""
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def may_have_gpu() -> bool:
    """Whether PyTorch could find a GPU here; False only where the system shows that there is none."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return nvidia_driver() or any(Path(sign).exists() for sign in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))


def may_have_half_units() -> bool:
    """Whether the CPU could have instructions for bfloat16; False only where the system shows that it has none."""
    try:
        text = _CPUINFO.read_text()
    except OSError:
        return True
    return "flags" not in text or "avx512_bf16" in text or "amx_bf16" in text
