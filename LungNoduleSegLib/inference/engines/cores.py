"""The computer, as the system tells it without any package: cores for threads, a GPU's driver, what cannot be there."""

from __future__ import annotations

import os
import platform
import re
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
    flags = _linux_flags()
    return flags is None or bool(flags & {"avx512_bf16", "amx_bf16"})


def has_half_units() -> bool:
    """Whether the CPU has instructions for bfloat16; False where the system does not tell."""
    return bool((_linux_flags() or set()) & {"avx512_bf16", "amx_bf16"})


def has_avx2() -> bool:
    """Whether the CPU has instructions for whole numbers in 256 bits (AVX2); False where the system does not tell."""
    flags = _linux_flags()
    if flags is None:
        return sys.platform == "win32" and _windows_has(_WINDOWS_AVX2)
    return "avx2" in flags


def has_tile_units() -> bool:
    """Whether the CPU has units for tiles of bfloat16 (AMX); False where the system does not tell."""
    flags = _linux_flags()
    if flags is None:
        found = _INTEL.match(platform.processor()) if sys.platform == "win32" else None
        return found is not None and int(found[1]) in _AMX_MODELS
    return "amx_bf16" in flags


def _linux_flags() -> set[str] | None:
    """What Linux lists of an x86 processor; None elsewhere."""
    try:
        text = _CPUINFO.read_text()
    except OSError:
        return None
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else None


# Windows tells family and model only: AMX is in Xeons from Sapphire Rapids on (numbers as in Linux, intel-family.h).
_INTEL = re.compile(r"Intel64 Family 6 Model (\d+) ")
_AMX_MODELS = frozenset({0x8F, 0xAD, 0xAE, 0xCF})
_WINDOWS_AVX2 = 40
"""PF_AVX2_INSTRUCTIONS_AVAILABLE of winnt.h."""


def _windows_has(feature: int) -> bool:
    """What Windows says of the processor; releases before Windows 10 2004 know nothing of AVX2, and say no."""
    import ctypes

    return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(feature))  # type: ignore[attr-defined]
