"""How time and memory of a whole CT grow with its slices and with cores.

    python benchmarks/whole_ct_growth.py [CT] [--slices 100 --slices 300 ...] [--cores 1 ...] [--kind longer ...]
                                         [--model model-2-compact] [--json FILE]

CTs of that many slices are made from the one given. "longer": the slices at their own distance, the middle ones of them
or all of them and their mirror images over and over, so that there is so much more lung to search. "thinner": the same
length of the patient in so many slices, interpolated, as scanners give them; the search then leaves slices out.

Each measurement has a process of its own that is held to its cores. Loading the CT and the network is not counted;
"peak MB" is what is needed beyond them, "process MB" what the process needed in all. Without CT: LIDC-IDRI-0063 where
LUNGNODULESEG_DATA names the data, else the public sample.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from support import child, cores, default_cts, machine, report, write_json
from support.search import searched

SLICES = (100, 300, 600)
KINDS = ("longer", "thinner")


def longer(ct: Any, count: int) -> Any:
    """The CT with so many slices at their own distance: its middle, or itself and its mirror images in turn."""
    import numpy as np

    from LungNoduleSegLib import CT

    depth = ct.shape[0]
    if count <= depth:
        first = (depth - count) // 2
        order = np.arange(first, first + count)
    else:
        order = np.arange(count) % (2 * depth)
        order = np.minimum(order, 2 * depth - 1 - order)
    return CT.from_array(ct.hu[order], ijk_to_ras=ct.ijk_to_ras, copy=False)


def thinner(ct: Any, count: int) -> Any:
    """The CT's length in so many slices, interpolated linearly."""
    import numpy as np

    from LungNoduleSegLib import CT

    depth = ct.shape[0]
    hu = np.empty((count, *ct.shape[1:]), np.int16)
    for n, place in enumerate(np.linspace(0, depth - 1, count)):
        below = min(int(place), depth - 2)
        share = np.float32(place - below)
        hu[n] = np.rint(ct.hu[below] * (1 - share) + ct.hu[below + 1] * share)
    grid = np.array(ct.ijk_to_ras)
    grid[:3, 2] *= (depth - 1) / (count - 1)
    return CT.from_array(hu, ijk_to_ras=grid, copy=False)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Search a CT of so many slices."""
    from LungNoduleSegLib import read_ct

    made = {"longer": longer, "thinner": thinner}[job["kind"]](read_ct(Path(job["ct"])), job["slices"])
    return {**searched(job, made), "ct_mb": made.hu.nbytes / 2**20, "step_mm": made.spacing_mm[0]}


def main() -> None:
    """Measure each number of slices with each number of cores and print one table."""
    everything = sorted({1, cores()})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--slices", type=int, action="append", help=f"default: {SLICES}")
    parser.add_argument("--cores", type=int, action="append", help=f"default here: {everything}")
    parser.add_argument("--kind", action="append", choices=KINDS, help="default: both")
    parser.add_argument("--model", default="model-2-compact")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(json.loads(arguments.child))))
        return
    ct, where = arguments.ct or default_cts()[-1], machine()  # before the load is ours
    rows, numbers = [], []
    same = {"ct": str(ct), "model": arguments.model, "precision": arguments.precision}
    for kind in arguments.kind or KINDS:
        for slices in arguments.slices or SLICES:
            for count in arguments.cores or everything:
                job = {"kind": kind, "slices": slices, "cores": count}
                run = child(__file__, {**same, **job})
                print(f"{job}: {json.dumps(run)}", file=sys.stderr)
                numbers.append({**job, **run})
                rows.append(_row(job, run))
    print(f"\n{arguments.model} ({numbers[0]['precision']}) on CTs made from {ct.name}, on {where}\n")
    report(rows, list(rows[0]))
    write_json(arguments.json, machine=where, ct=ct.name, model=arguments.model, rows=numbers)


def _row(job: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    return {
        **job,
        "mm apart": f"{run['step_mm']:.2f}",
        "CT MB": f"{run['ct_mb']:.0f}",
        "tiles": run["tiles"],
        "seconds": f"{run['seconds']:.1f}",
        "s / 100 slices": f"{100 * run['seconds'] / job['slices']:.1f}",
        "besides the network, s": f"{run['seconds'] - run['network_s']:.1f}",
        "peak MB": f"{run['peak_mb']:.0f}",
        "process MB": "" if run["process_mb"] is None else f"{run['process_mb']:.0f}",
        "nodules": run["nodules"],
    }


if __name__ == "__main__":
    main()
