"""How much memory this process has used at most."""

from __future__ import annotations

import sys
from pathlib import Path

MIB = 2**20


def peak_memory_mb() -> float | None:
    """Peak resident memory of this process in MiB, since it was started; None where the system does not tell.

    Linux: VmHWM of /proc/self/status (``getrusage`` there counts the parent's memory before the program was started).
    macOS: ``getrusage``, in bytes. Windows: the peak working set.
    """
    if sys.platform == "win32":
        return _peak_working_set()
    if sys.platform.startswith("linux"):
        return _high_water_mark()
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def _high_water_mark() -> float | None:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return next(float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _peak_working_set() -> float | None:
    # Written from Microsoft's documentation of PROCESS_MEMORY_COUNTERS; not run on Windows yet.
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in (
                "PeakWorkingSetSize", "WorkingSetSize", "QuotaPeakPagedPoolUsage", "QuotaPagedPoolUsage",
                "QuotaPeakNonPagedPoolUsage", "QuotaNonPagedPoolUsage", "PagefileUsage", "PeakPagefileUsage",
            )),
        )  # fmt: skip

    windll = ctypes.windll  # type: ignore[attr-defined]
    counters = Counters()
    counters.cb = ctypes.sizeof(counters)
    windll.kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    told = windll.psapi.GetProcessMemoryInfo(
        wintypes.HANDLE(windll.kernel32.GetCurrentProcess()), ctypes.byref(counters), counters.cb
    )
    return counters.PeakWorkingSetSize / MIB if told else None
