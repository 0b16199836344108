"""Seconds and peak memory of a whole CT, beside the plain way, in one run.

    python benchmarks/whole_ct.py [CT ...] [--model NAME] [--device cpu] [--precision float32] [--share 0.1]

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

from support import available_models, child, default_cts, machine, peak_memory, plain_network, report, stopwatch

STRIDE = 64


def ours(job: dict[str, Any]) -> dict[str, Any]:
    """Run the segmenter once."""
    import numpy as np

    from LungNoduleSegLib import load_segmenter, read_ct

    ct = read_ct(Path(job["ct"]))
    segmenter = load_segmenter(job["model"], device=job["device"], precision=job["precision"])
    segmenter.predict_crops(np.zeros((segmenter.engine.batch_size, 128, 128), np.uint8))  # buffers and kernels
    with peak_memory() as memory:
        elapsed = stopwatch()
        result = segmenter.segment(ct)
        seconds = elapsed()
        labels = result.labels
    np.savez_compressed(job["labels"], labels=labels)
    return {
        "seconds": seconds,
        "stages": {name: round(s, 2) for name, s in result.seconds.items()},
        "counts": result.parameters["counts"],
        "peak_mb": memory["peak_mb"],
        "engine": segmenter.engine.description,
        "shape": list(ct.shape),
        "nodules": len(result.nodules),
    }


def plain(job: dict[str, Any]) -> dict[str, Any]:
    """Every tile of (a share of) the slices; what it finds is compared with the labels where it ran on all of them."""
    import numpy as np
    from scipy import ndimage

    from LungNoduleSegLib import read_ct
    from LungNoduleSegLib.inference.tiles import gather

    ct = read_ct(Path(job["ct"]))
    predict = plain_network(job["model"])
    depth, height, width = ct.shape
    tops = [sorted({*range(0, max(n - 128, 0), STRIDE), max(n - 128, 0)}) for n in (height, width)]
    count = max(1, round(depth * job["share"]))
    chosen = np.unique(np.rint(np.linspace(0, depth - 1, count)).astype(int))
    places = np.array([(k, j, i) for k in chosen for j in tops[0] for i in tops[1]])
    predict(gather(ct.hu, places[:16], slices=predict.slices))
    with peak_memory() as memory:
        elapsed = stopwatch()
        total = np.zeros(ct.shape, np.float32)
        weight = np.zeros((height, width), np.float32)
        for j in tops[0]:
            for i in tops[1]:
                weight[j : j + 128, i : i + 128] += 1
        for start in range(0, len(places), 16):
            part = places[start : start + 16]
            for (k, j, i), tile in zip(part, predict(gather(ct.hu, part, slices=predict.slices))):
                into = total[k, j : j + 128, i : i + 128]
                into += tile[: into.shape[0], : into.shape[1]]
        total /= weight
        tiles_s = elapsed()
        labels, found = ndimage.label(total >= 0.5, np.ones((3, 3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=found + 1)[1:] * ct.voxel_volume_mm3
        kept = np.flatnonzero(sizes >= np.pi / 6 * 3**3) + 1
        rest_s = elapsed() - tiles_s
    out = {
        "seconds": tiles_s * depth / len(chosen) + rest_s,
        "tiles": len(places) * depth // len(chosen),
        "share": len(chosen) / depth,
        "peak_mb": memory["peak_mb"],
    }
    if len(chosen) == depth:
        ours_labels = np.load(job["labels"])["labels"]
        plain_mask = np.isin(labels, kept)
        out["components"] = len(kept)
        out["ours_also_in_plain"] = sum(
            bool(plain_mask[ours_labels == n].any()) for n in range(1, int(ours_labels.max()) + 1)
        )
    return out


def main() -> None:
    """Measure each model on each CT, ours and the plain way, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="*")
    parser.add_argument("--model", action="append")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", action="append", help="auto and float32 if not given")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        job = json.loads(arguments.child)
        print(json.dumps((ours if job["way"] == "ours" else plain)(job)))
        return
    rows = []
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
                print(f"{path.name} {model} plain: {json.dumps(slow)}", file=sys.stderr)
    print(f"\nWhole CT on {machine()}\n")
    report(rows, ["CT", "slices", "model", "engine", "seconds", "peak MB", "nodules", "plain s", "ratio", "same"])
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
