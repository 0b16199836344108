"""The plain way in a child process: every tile of every slice through the network as it was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import peak_memory, plain_network, process_mb, stopwatch

STRIDE = 64


def tops(length: int) -> list[int]:
    """First pixels of the tiles along one side of a slice."""
    return sorted({*range(0, max(length - 128, 0), STRIDE), max(length - 128, 0)})


def plain(job: dict[str, Any]) -> dict[str, Any]:
    """Every tile of (a share of) the slices; what it finds is compared with the labels where it ran on all of them."""
    import numpy as np
    from scipy import ndimage

    from LungNoduleSegLib import read_ct
    from LungNoduleSegLib.inference.tiles import gather

    ct = read_ct(Path(job["ct"]))
    predict = plain_network(job["model"])
    depth, height, width = ct.shape
    rows, columns = tops(height), tops(width)
    count = max(1, round(depth * job["share"]))
    chosen = np.unique(np.rint(np.linspace(0, depth - 1, count)).astype(int))
    places = np.array([(k, j, i) for k in chosen for j in rows for i in columns])
    predict(gather(ct.hu, places[:16], slices=predict.slices))
    with peak_memory() as memory:
        elapsed = stopwatch()
        total = np.zeros(ct.shape, np.float32)
        weight = np.zeros((height, width), np.float32)
        for j in rows:
            for i in columns:
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
        "tile_s": tiles_s / len(places),
        "tiles": len(rows) * len(columns) * depth,
        "share": len(chosen) / depth,
        "peak_mb": memory["peak_mb"],
        "process_mb": process_mb(),
    }
    if len(chosen) == depth and job.get("labels"):
        ours_labels = np.load(job["labels"])["labels"]
        plain_mask = np.isin(labels, kept)
        out["components"] = len(kept)
        out["ours_also_in_plain"] = sum(
            bool(plain_mask[ours_labels == n].any()) for n in range(1, int(ours_labels.max()) + 1)
        )
    return out
