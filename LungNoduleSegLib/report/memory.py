"""How much memory this process has used at most."""

from __future__ import annotations

import sys

MIB = 2**20


def peak_memory_mb() -> float | None:
    """Peak resident memory of this process in MiB, since it was started; None where the system does not tell.

    POSIX: ``getrusage``, whose unit is KiB on Linux and bytes on macOS. Windows: the peak working set.
    """
    if sys.platform == "win32":
        return _peak_working_set()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024


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
