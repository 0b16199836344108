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


def has_int8_units() -> bool:
    """Whether the CPU has instructions for products of 8 bits (VNNI); False where the system does not tell."""
    flags = _linux_flags()
    if flags is None:
        return sys.platform == "win32" and _vnni_by_name(platform.processor())
    return bool(flags & {"avx512_vnni", "avx_vnni"})


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


# Windows tells family and model only. With VNNI: Zen 4 and later at AMD, and Intel's from Ice Lake on, whose numbers
# are in no order (Linux, arch/x86/include/asm/intel-family.h; AMX in Xeons from Sapphire Rapids on). Cascade Lake (85)
# shares its number with processors that have none. What is not listed counts as without.
_INTEL = re.compile(r"Intel64 Family 6 Model (\d+) ")
_AMD = re.compile(r"AMD64 Family (\d+) Model (\d+) ")
_AMX_MODELS = frozenset({0x8F, 0xAD, 0xAE, 0xCF})
_VNNI_MODELS = _AMX_MODELS | {
    0x6A, 0x6C, 0x7D, 0x7E, 0x8C, 0x8D, 0x97, 0x9A, 0xA7, 0xAA, 0xAC, 0xAF, 0xB5, 0xB6, 0xB7, 0xBA, 0xBD, 0xBE, 0xBF,
    0xC5, 0xC6, 0xCC,
}  # fmt: skip
_ZEN_4_FAMILY = 25
_ZEN_4_MODELS = (range(0x10, 0x20), range(0x60, 0x80), range(0xA0, 0xB0))


def _vnni_by_name(identifier: str) -> bool:
    """By Windows' name of a processor, such as "Intel64 Family 6 Model 154 Stepping 3, GenuineIntel"."""
    if intel := _INTEL.match(identifier):
        return int(intel[1]) in _VNNI_MODELS
    if amd := _AMD.match(identifier):
        family, model = int(amd[1]), int(amd[2])
        return family > _ZEN_4_FAMILY or (family == _ZEN_4_FAMILY and any(model in known for known in _ZEN_4_MODELS))
    return False
