"""Our search of a whole CT in a child process: seconds, tiles, what the network takes of it, memory."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from support import computing, peak_memory, process_mb, stopwatch


class TimedEngine:
    """An engine that counts its tiles (of 128 x 128 px) and the seconds in which at least one call was in it."""

    def __init__(self, engine: Any):
        self._engine, self.tiles, self.seconds = engine, 0.0, 0.0
        self._lock, self._calls, self._since = threading.Lock(), 0, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def predict(self, tiles: Any, **options: Any) -> Any:
        with self._lock:
            self.tiles += tiles.shape[0] * tiles.shape[-2] * tiles.shape[-1] / 128**2
            if self._calls == 0:
                self._since = time.perf_counter()
            self._calls += 1
        try:
            return self._engine.predict(tiles, **options)
        finally:
            with self._lock:
                self._calls -= 1
                if self._calls == 0:
                    self.seconds += time.perf_counter() - self._since


def searched(job: dict[str, Any], ct: Any = None) -> dict[str, Any]:
    """Run the segmenter once on job["ct"] (or a CT given); the network is loaded and warm before the clock starts."""
    import numpy as np

    from LungNoduleSegLib import load_segmenter, read_ct

    ct = read_ct(Path(job["ct"])) if ct is None else ct
    segmenter = load_segmenter(job["model"], device=job.get("device", "cpu"), **computing(job["precision"]))
    segmenter.predict_crops(np.zeros((segmenter.engine.batch_size, 128, 128), np.uint8))  # buffers and kernels
    segmenter.engine = engine = TimedEngine(segmenter.engine)
    with peak_memory() as memory:
        elapsed = stopwatch()
        result = segmenter.segment(ct)
        seconds = elapsed()
        labels = result.labels
    if job.get("labels"):
        np.savez_compressed(job["labels"], labels=labels)
    return {
        "seconds": seconds,
        "network_s": engine.seconds,
        "tiles": round(engine.tiles),
        "stages": {name: round(s, 2) for name, s in result.seconds.items()},
        "counts": result.parameters["counts"],
        "peak_mb": memory["peak_mb"],
        "process_mb": process_mb(),
        "engine": engine.description,
        "precision": getattr(engine, "precision", ""),
        "shape": list(ct.shape),
        "nodules": len(result.nodules),
    }
