"""Results folders as the studies write them, with known differences between the rows."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    "patient", "series", "nodule", "slice", "readers", "area_px", "spacing_mm", "tp", "fp", "fn",
    "mean_probability_in_truth", "max_probability", "source",
)  # fmt: skip


def counts_for(iou: float, area: int) -> tuple[int, int, int]:
    """tp, fp, fn of a prediction as large as the truth that overlaps it by about this IoU."""
    tp = round(area * 2 * iou / (1 + iou))
    return tp, area - tp, area - tp


def write_images(path: Path, lines: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)


def image_lines(
    iou: float, *, patients: int, images: int, negatives: int, seed: int, spread: float, first: int = 100
) -> list[dict[str, Any]]:
    """Lines of ``patients`` x ``images`` positives (patients differ alike for every row) and of lung tiles."""
    noise, lines = np.random.default_rng(1000 + seed), []
    for p in range(first, first + patients):
        ease = np.random.default_rng(p).normal(0, spread)  # the same for every row and seed
        name, area = f"LIDC-IDRI-{p:04d}", 40 + p % 50
        shared = {"patient": name, "series": f"1.2.{p}", "readers": 1 + p % 4, "spacing_mm": 0.7}
        for k in range(images):
            value = float(np.clip(iou + ease + noise.normal(0, 0.02), 0.02, 0.98))
            tp, fp, fn = counts_for(value, area)
            lines.append(
                {**shared, "nodule": 0, "slice": k, "area_px": area, "tp": tp, "fp": fp, "fn": fn,
                 "mean_probability_in_truth": 0.8, "max_probability": 0.99, "source": "crop"}
            )  # fmt: skip
        for k in range(negatives):
            false = 5 if (p + k) % 10 == 0 else 0
            lines.append(
                {**shared, "nodule": f"tile-{k}", "slice": k, "area_px": 0, "tp": 0, "fp": false, "fn": 0,
                 "mean_probability_in_truth": "", "max_probability": 0.4, "source": "lung"}
            )  # fmt: skip
    return lines


def write_run(
    results: Path,
    study: str,
    row: str,
    *,
    iou: float = 0.6,
    seed: int = 0,
    patients: int = 24,
    images: int = 4,
    negatives: int = 0,
    spread: float = 0.1,
    protocol: str = "patient",
    scale: str = "compact",
    **facts: Any,
) -> Path:
    """One run's folder; ``facts`` go into ``run.json`` over what stands here."""
    folder = results / study / row / f"seed-{seed}"
    folder.mkdir(parents=True)
    record = {
        "study": study, "row": row, "seed": seed, "scale": scale, "protocol": protocol, "px": 64, "config": {},
        "parameters": 1_000_000, "samples": 12_000, "seconds_training": 100.0, "images_a_second": 120.0,
        "validation_log": [
            {"samples": n, "iou_pos": {"value": iou * n / 12_000}, "loss": 1 - n / 24_000} for n in (4000, 8000, 12_000)
        ],
        "ms_per_image": 20.0, "size_bytes": 4_000_000, "threads": 1, "cpu": "a processor", "versions": {"torch": "2"},
        **facts,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    lines = image_lines(iou, patients=patients, images=images, negatives=negatives, seed=seed, spread=spread)
    write_images(folder / "images.csv.gz", lines)
    bins = {
        "counts": [10_000 - 450 * b for b in range(20)],
        "positives": [(10_000 - 450 * b) * b // 20 for b in range(20)],
    }
    (folder / "calibration.json").write_text(json.dumps(bins), encoding="utf-8")
    return folder
