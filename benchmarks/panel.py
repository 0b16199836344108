"""How the panel behaves with a real run: time to open, event loop latency, cancel, and warm clicks.

    python benchmarks/panel.py [CT] [--model NAME] [--cancels 5] [--clicks 5]

Without CT: LIDC-IDRI-0063 where LUNGNODULESEG_DATA names the data, else the public sample. The panel runs on Slicer's
own scene (slicer-core) with PySide6 in place of the application's Qt, as the tests do; the run and the clicks are the
real subprocesses. Latency: a timer of 5 ms in the panel's thread; the longest time by which it came late. Publishing
the result into the scene is work of the panel's thread and is given apart. Needs the extra `test`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

from support import ROOT, available_models, default_cts, machine

TICK_S = 0.005


class Latency:
    """The longest pause of the event loop, while `on`."""

    def __init__(self, qt):
        self.worst, self._last = 0.0, None
        self._timer = qt.QTimer()
        self._timer.setInterval(int(TICK_S * 1000))
        self._timer.connect("timeout()", self._tick)

    def __enter__(self):
        self.worst, self._last = 0.0, time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *_error):
        self._timer.stop()

    def _tick(self):
        now = time.perf_counter()
        self.worst = max(self.worst, now - self._last - TICK_S)
        self._last = now


def opening_seconds(repeats: int = 5) -> tuple[float, float]:
    """Medians over fresh processes: loading the module's file, as Slicer does when it starts, and `setup()` and
    `enter()` of its panel, all that they import included."""
    code = (
        "import sys, time; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/Testing'];"
        "from slicer_harness.application import PANEL, start; from slicer_harness.modules import load_module; start();"
        "begun = time.perf_counter(); module = load_module(PANEL)[1]; loaded = time.perf_counter();"
        "module.widgetRepresentation().enter(); print(loaded - begun, time.perf_counter() - loaded)"
    )
    found = []
    for _ in range(repeats):
        done = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=True)
        found.append([float(word) for word in done.stdout.split()[-2:]])
    loading, opening = zip(*found)
    return statistics.median(loading), statistics.median(opening)


def descendants() -> str:
    """How many processes that this one has started still live, theirs too; only Linux tells."""
    found = {os.getpid()}
    if not Path("/proc/self/stat").exists():
        return "an unknown number of"
    for _generation in range(5):
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                number, _, rest = status.read_text().partition(" (")
                state, parent = rest.rpartition(") ")[2].split()[:2]
            except (OSError, ValueError):
                continue  # it has ended meanwhile
            if int(parent) in found and state != "Z":
                found.add(int(number))
    return str(len(found) - 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--model", action="append")
    parser.add_argument("--cancels", type=int, default=5)
    parser.add_argument("--clicks", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        import PySide6  # noqa: F401
        import slicer
    except ImportError as error:
        raise SystemExit(f"Left out: {error.name} is not installed (pip install '.[test]').") from error
    sys.path.insert(0, str(ROOT / "Testing"))
    from slicer_harness.application import PANEL, open_module, start

    loading, opening = opening_seconds()
    start()
    import qt

    from LungNoduleSegLib import read_ct
    from LungNoduleSegLib.mrml import volume_from_ct

    path = arguments.ct or default_cts()[-1]
    ct = read_ct(path)
    module = open_module(PANEL)
    panel, latency = module.widget, Latency(qt)
    node = volume_from_ct(ct, slicer.mrmlScene, path.name)

    def until(condition, limit_s=900.0):
        end = time.perf_counter() + limit_s
        while not condition():
            slicer.app.processEvents()
            time.sleep(0.001)
            if time.perf_counter() > end:
                raise SystemExit("It does not end.")

    print(f"\nThe panel on {machine()}; {path.name}, {ct.shape[0]} slices\n")
    print(f"loading the module {loading * 1e3:.0f} ms, opening the panel {opening * 1e3:.0f} ms")
    with latency:
        panel.ui.inputSelector.setCurrentNode(node)
        until(lambda: panel.ui.checkLabel.text)
    print(f"choosing the CT, which is read and checked: longest pause {latency.worst * 1e3:.0f} ms")
    for model in arguments.model or available_models():
        panel.parameters.model = model
        panel.parameters.segmentation = None
        published = {}
        original = panel.logic._publish

        def timed(*given, original=original, published=published):
            begun = time.perf_counter()
            published["before"] = latency.worst
            try:
                return original(*given)
            finally:
                published["seconds"] = time.perf_counter() - begun

        panel.logic._publish = timed
        begun = time.perf_counter()
        with latency:
            panel.ui.applyButton.click()
            until(lambda: not panel.running)
        seconds = time.perf_counter() - begun
        panel.logic._publish = original
        threads = panel.logic.defaultThreads()
        if "before" not in published:
            raise SystemExit(f"{model}: {panel.ui.statusLabel.text}")
        print(f"{model}: whole CT {seconds:.1f} s with {threads} threads: {panel.ui.statusLabel.text}")
        pause_ms = published["before"] * 1e3
        print(f"  longest pause of the event loop {pause_ms:.0f} ms; publishing {published['seconds']:.2f} s")
        points = [row.nodule.centroid_ras for row in panel.review.rows]
        waits, rng = [], random.Random(1)
        for _ in range(arguments.cancels):
            with latency:
                panel.ui.applyButton.click()
                pause = time.perf_counter() + rng.uniform(0.0, seconds)
                until(lambda pause=pause: time.perf_counter() > pause or not panel.running)
                if panel.running:
                    begun = time.perf_counter()
                    panel.ui.applyButton.click()
                    until(lambda: not panel.running)
                    waits.append(time.perf_counter() - begun)
        left = descendants()
        longest = max(waits, default=float("nan"))
        print(f"  cancel at {len(waits)} random moments: longest {longest:.2f} s, {left} processes left")
        volume = panel.parameters.inputVolume
        begun = time.perf_counter()
        panel.logic.click(volume, [points[0] if points else ct.kji_to_ras([n // 2 for n in ct.shape])], model=model)
        first, warm = time.perf_counter() - begun, []
        with latency:
            for number in range(arguments.clicks):
                place = points[number % len(points)] if points else tuple(ct.kji_to_ras([n // 2 for n in ct.shape]))
                begun = time.perf_counter()
                place = tuple(v + rng.uniform(-1.5, 1.5) for v in place)  # a voxel that was not clicked before
                panel.logic.click(volume, [place], model=model)
                warm.append(time.perf_counter() - begun)
        print(f"  click: first {first:.2f} s (process, network and CT), warm {statistics.median(warm):.2f} s, "
              f"slowest {max(warm):.2f} s; longest pause {latency.worst * 1e3:.0f} ms")
        print(json.dumps({"model": model, "seconds": seconds, "cancels": waits, "warm": warm}))
        panel.logic._clicks.close()
    module.close()


if __name__ == "__main__":
    main()
