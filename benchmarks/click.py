"""Seconds and peak memory of one click, beside the plain way, in one run.

    python benchmarks/click.py [CT] [--ras X Y Z] [--model NAME] [--device cpu] [--precision float32] [--threads 2]

Without CT: the public sample and, where LUNGNODULESEG_DATA names the data, LIDC-IDRI-0063. Without --ras the three most
probable nodules that the model finds are clicked. The first click on a CT is given apart: it also finds the lungs,
which tell the side. Warm clicks are five points in each nodule, none of them clicked before. The plain way is one crop
after the other in eager float32, centred on the point, up and down until two slices are empty.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from support import (
    available_models,
    child,
    computing,
    default_cts,
    machine,
    peak_memory,
    plain_network,
    report,
    stopwatch,
)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Click and time."""
    import numpy as np

    from LungNoduleSegLib import load_segmenter, read_ct

    ct = read_ct(Path(job["ct"]))
    segmenter = load_segmenter(job["model"], device=job["device"], **computing(job["precision"]))
    if job["ras"]:
        centres = [tuple(job["ras"])]
    else:
        finder = load_segmenter(job["model"], device=job["device"])
        centres = [n.centroid_ras for n in finder.segment(ct, threshold=0.0).nodules[:3]]
    # A CT of its own, on which nothing has been found yet.
    ct = type(ct).from_array(ct.hu, ijk_to_ras=ct.ijk_to_ras, copy=False)
    segmenter.predict_crops(np.zeros((segmenter.engine.batch_size, 128, 128), np.uint8))
    elapsed = stopwatch()
    segmenter.click(ct, [centres[0]])
    first = elapsed()
    plain_click = _plain(job["model"], ct)
    warm, slow, volumes = [], [], []
    with peak_memory() as memory:
        for centre in centres:
            for step in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (1, 1, 0)):
                point = tuple(float(c + d * 1.2) for c, d in zip(centre, step))
                elapsed = stopwatch()
                result = segmenter.click(ct, [point])
                volumes.append(round(result.nodules[0].volume_mm3))
                warm.append(elapsed())
    for centre in centres:
        elapsed = stopwatch()
        plain_click(centre)
        slow.append(elapsed())
    return {
        "first": first,
        "warm": statistics.median(warm),
        "warm_max": max(warm),
        "plain": statistics.median(slow),
        "peak_mb": memory["peak_mb"],
        "volumes_mm3": volumes,
        "engine": segmenter.engine.description,
    }


def _plain(model: str, ct: Any) -> Any:
    import numpy as np
    from scipy import ndimage

    from LungNoduleSegLib.inference.tiles import gather

    predict = plain_network(model)

    def click(point: tuple[float, float, float]) -> Any:
        k, j, i = np.rint(ct.ras_to_kji(point)).astype(int)
        mask = {}
        for step in (1, -1):
            empty, n, near = 0, k if step == 1 else k - 1, None
            while 0 <= n < ct.shape[0] and empty < 2:
                tile = predict(gather(ct.hu, np.array([(n, j - 64, i - 64)]), slices=predict.slices))[0]
                labels, _ = ndimage.label(tile >= 0.5)
                near = (64, 64) if near is None else near
                label = labels[near[0], near[1]]
                if label:
                    mask[n] = labels == label
                    near = tuple(int(v) for v in ndimage.center_of_mass(mask[n]))
                else:
                    empty += 1
                n += step
        return mask

    click(tuple(ct.kji_to_ras((0, 64, 64))))  # buffers and kernels
    return click


def main() -> None:
    """Measure each model on each CT and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--ras", type=float, nargs=3)
    parser.add_argument("--model", action="append")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", action="append", help="or ENGINE:PRECISION; auto and float32 if not given")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(json.loads(arguments.child))))
        return
    rows = []
    for path in [arguments.ct] if arguments.ct else default_cts():
        for model in arguments.model or available_models():
            for precision in arguments.precision or ("float32", "auto"):
                job = {"ct": str(path), "model": model, "device": arguments.device, "threads": arguments.threads}
                run = child(__file__, {**job, "precision": precision, "ras": arguments.ras})
                print(f"{path.name} {model} {precision}: {json.dumps(run)}", file=sys.stderr)
                rows.append(
                    {
                        "CT": path.name,
                        "model": model,
                        "engine": run["engine"],
                        "first s": f"{run['first']:.2f}",
                        "warm s": f"{run['warm']:.2f}",
                        "slowest s": f"{run['warm_max']:.2f}",
                        "peak MB": f"{run['peak_mb']:.0f}",
                        "plain s": f"{run['plain']:.2f}",
                        "ratio": f"{run['plain'] / run['warm']:.1f}",
                    }
                )
    print(f"\nOne click on {machine()}\n")
    report(rows, ["CT", "model", "engine", "first s", "warm s", "slowest s", "peak MB", "plain s", "ratio"])


if __name__ == "__main__":
    main()
