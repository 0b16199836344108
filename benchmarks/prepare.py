"""Time and peak memory of preparing training data.

    python benchmarks/prepare.py [SOURCE] [--workers 1] [--workers 4] [--public 40]

SOURCE is what ``python -m training prepare`` takes; default: LUNGNODULESEG_DATA. Complete scans (DICOM), scans cropped
to the lungs, and the public crops of the first ``--public`` patients are measured apart, each in a process of its own
and into a cache that is removed afterwards; reading headers and annotations, writing and checksums are counted. Peak
memory and processor seconds are those of the process and of its workers together; on a machine that others use too,
the processor seconds are what can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from support import child, machine, report, stopwatch

KINDS = ("dicom", "box", "public")


def family_memory() -> int:
    """Resident bytes of this process and its children, pages that they share counted once where the system tells."""
    import multiprocessing

    total = 0
    for pid in (os.getpid(), *(p.pid for p in multiprocessing.active_children())):
        for name in ("smaps_rollup", "status"):
            try:
                lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
            except OSError:
                continue
            kb = next((int(x.split()[1]) for x in lines if x.startswith(("Pss:", "VmRSS:"))), 0)
            if kb:
                total += kb * 1024
                break
    return total


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Prepare one kind of the source."""
    from training.prepare import run
    from training.prepare.finding import Found, find

    kind = job["kind"]

    def only(source: Path) -> Found:
        found = find(source)
        return Found(
            files=found.files if kind == "dicom" else [],
            public=sorted(found.public)[: job["public"]] if kind == "public" else [],
            boxes=found.boxes if kind == "box" else [],
            crops_table=found.crops_table, marks=found.marks,
        )  # fmt: skip

    run.find = only
    peak, done = [family_memory()], threading.Event()
    start = peak[0]

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], family_memory())

    threading.Thread(target=watch, daemon=True).start()
    with tempfile.TemporaryDirectory(dir=job["folder"]) as folder:
        elapsed, cpu_start = stopwatch(), sum(os.times()[:4])
        prepared = run.prepare(Path(job["source"]), Path(folder), workers=job["workers"], progress=False)
        seconds, cpu_s = elapsed(), sum(os.times()[:4]) - cpu_start
        done.set()
        elapsed = stopwatch()
        from training.prepare.verify import verify

        checked = verify(Path(folder))
        verify_s = elapsed()
        elapsed = stopwatch()
        store = type(prepared.store)(Path(folder))
        crops, scans = store.crops(), store.scans()
        open_s = elapsed()
    slices = sum(scan.hu.shape[0] for scan in scans)
    return {
        "items": len(prepared.items), "slices": slices, "crops": len(crops.images), "seconds": seconds, "cpu_s": cpu_s,
        "peak_mb": (peak[0] - start) / 2**20, "cache_mb": checked.bytes / 2**20, "verify_s": verify_s, "open_s": open_s,
    }  # fmt: skip


def main() -> None:
    """Measure each kind with each number of workers and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", default=os.environ.get("LUNGNODULESEG_DATA"))
    parser.add_argument("--workers", type=int, action="append")
    parser.add_argument("--public", type=int, default=40)
    parser.add_argument("--folder", help="where the caches are written; default: the system's temporary folder")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(json.loads(arguments.child))))
        return
    if not arguments.source or not (Path(arguments.source) / "LIDC-IDRI").is_dir():
        print(f"no LIDC-IDRI folder in {arguments.source or 'LUNGNODULESEG_DATA, which is not set'}: nothing measured")
        return
    rows = []
    for workers in arguments.workers or (1,):
        for kind in KINDS:
            job = {"source": str(arguments.source), "kind": kind, "workers": workers, "public": arguments.public}
            run = child(__file__, {**job, "folder": arguments.folder})
            print(f"{kind}, {workers} workers: {json.dumps(run)}", file=sys.stderr)
            rows.append({
                "source": {"dicom": "complete scans", "box": "lung boxes", "public": "public crops"}[kind],
                "workers": workers, "series": run["items"], "slices": run["slices"], "crops": run["crops"],
                "seconds": f"{run['seconds']:.1f}", "CPU s": f"{run['cpu_s']:.1f}",
                "series/s": f"{run['items'] / run['seconds']:.2f}",
                "images/s": f"{(run['slices'] or run['crops']) / run['seconds']:.0f}",
                "images/CPU s": f"{(run['slices'] or run['crops']) / run['cpu_s']:.0f}",
                "peak MB": f"{run['peak_mb']:.0f}", "cache MB": f"{run['cache_mb']:.0f}",
                "verify s": f"{run['verify_s']:.1f}", "open s": f"{run['open_s']:.2f}",
            })  # fmt: skip
    print(f"\nPreparing on {machine()}\n")
    report(rows, list(rows[0]))
    print("\nImages are slices of scans, or public crops. Opening maps the arrays into memory and reads none of them.")


if __name__ == "__main__":
    main()
