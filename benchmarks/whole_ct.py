"""Seconds and peak memory of a whole CT, beside the plain way, in one run.

    python benchmarks/whole_ct.py [CT ...] [--model NAME] [--device cpu] [--precision float32] [--share 0.1]
                         [--json FILE]

Without CT: the public sample and, where LUNGNODULESEG_DATA names the data, LIDC-IDRI-0063. The plain way is every
128-px tile of every slice at a stride of 64 in eager float32; only --share of the slices is run and the time scaled
(1 runs all of them and also compares what was found). Each measurement has a process of its own; loading the CT and the
network is not counted, peak memory is what is needed beyond them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from support import available_models, child, default_cts, machine, report, write_json
from support.plain import plain
from support.search import searched


def main() -> None:
    """Measure each model on each CT, ours and the plain way, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="*")
    parser.add_argument("--model", action="append")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", action="append", help="or ENGINE:PRECISION; auto and float32 if not given")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        job = json.loads(arguments.child)
        print(json.dumps((searched if job["way"] == "ours" else plain)(job)))
        return
    rows, numbers = [], []
    with tempfile.TemporaryDirectory() as folder:
        for path in arguments.ct or default_cts():
            for model in arguments.model or available_models():
                job = {"ct": str(path), "model": model, "device": arguments.device, "threads": arguments.threads}
                job |= {"labels": str(Path(folder, "labels.npz")), "share": arguments.share}
                runs = {
                    precision: child(__file__, {**job, "way": "ours", "precision": precision})
                    for precision in arguments.precision or ("float32", "auto")
                }
                slow = child(__file__, {**job, "way": "plain"})
                for precision, run in runs.items():
                    print(f"{path.name} {model} {precision}: {json.dumps(run)}", file=sys.stderr)
                    rows.append(_row(path, model, run, slow))
                    numbers.append({"ct": path.name, "model": model, "ours": run, "plain": slow})
                print(f"{path.name} {model} plain: {json.dumps(slow)}", file=sys.stderr)
    print(f"\nWhole CT on {machine()}\n")
    report(rows, ["CT", "slices", "model", "engine", "seconds", "peak MB", "nodules", "plain s", "ratio", "same"])
    write_json(arguments.json, rows=numbers)
    if arguments.share < 1:
        print(f"\nThe plain way was timed on {arguments.share:.0%} of the slices and scaled to all of them.")


def _row(path: Path, model: str, run: dict[str, Any], slow: dict[str, Any]) -> dict[str, Any]:
    same = f"{slow['ours_also_in_plain']} of {run['nodules']}" if "components" in slow else "not compared"
    return {
        "CT": path.name,
        "slices": run["shape"][0],
        "model": model,
        "engine": run["engine"],
        "seconds": f"{run['seconds']:.1f}",
        "peak MB": f"{run['peak_mb']:.0f}",
        "nodules": run["nodules"],
        "plain s": f"{slow['seconds']:.0f}",
        "ratio": f"{slow['seconds'] / run['seconds']:.1f}",
        "same": same,
    }


if __name__ == "__main__":
    main()
