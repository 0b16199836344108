"""The pictures of the tutorial: the real panel with real results, on Slicer's own scene and views, in no application.

    LUNGNODULESEG_DATA=folder python docs/slicer/pictures.py [--output Resources/Screenshots]

Shows LIDC-IDRI-0063 (The Cancer Imaging Archive, CC BY 3.0), which no model was trained on. Takes some minutes: the
runs are real. Needs the extra `test` and EGL (libegl1).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCAN = Path("LIDC-IDRI", "LIDC-IDRI-0063")
SIZE = (1200, 840)
COLOURS = 256
"""Enough for a grey CT and a plain panel, in less than half of the bytes."""
SPICULATED_RAS = (20.7, -34.3, -141.9)
"""Centre of the nodule of 12 mm that two readers outlined."""
ROUND_RAS = (88.2, -20.2, -103.7)
"""Centre of the nodule of 7 mm that four readers outlined."""
CAVITY_RAS = (45.8, -59.9, -201.0)
"""Centre of a cavitary nodule of 9 mm that three readers outlined."""
CALCIFIED_RAS = (97.2, -40.1, -219.0)
"""Centre of a calcified nodule of 5 mm that one reader outlined, and that a run on the whole CT does not list."""


class Pictures:
    """The module in a window of Slicer's layout, and the pictures that are taken of it."""

    def __init__(self, folder: Path, data: Path) -> None:
        import slicer
        from slicer_harness.application import PANEL, open_module
        from slicer_harness.window import MainWindow

        from LungNoduleSegLib import read_ct
        from LungNoduleSegLib.mrml import volume_from_ct

        self.folder = folder
        self.application = slicer.app
        self.scene = slicer.mrmlScene
        self.module = open_module(PANEL)
        self.panel = self.module.widget
        self.ct = volume_from_ct(read_ct(data / SCAN), self.scene, SCAN.name)
        self.window = MainWindow(self.module, SIZE)
        self.window.show_volume(self.ct)
        view = self.window.three_d_widget().mrmlViewNode()
        view.SetBoxVisible(False)
        view.SetAxisLabelsVisible(False)

    def until(self, condition, limit_s: float = 900.0) -> None:
        """Let the application run until something is so; a TimeoutError where it never is."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("The panel did not come to what is to be shown.")
            self.application.processEvents()
            time.sleep(0.005)

    def wait(self, seconds: float) -> None:
        """Let the application run."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    def look(self, ras, field_mm: float, distance_mm: float) -> None:
        """All views at a place: the slices that wide, the 3D view from the front, that far away."""
        from LungNoduleSegLib.mrml.views import jump_to

        for name in ("Red", "Yellow", "Green"):
            node = self.window.slice_widget(name).mrmlSliceNode()
            wide, high, deep = node.GetFieldOfView()
            node.SetFieldOfView(field_mm, field_mm * high / wide, deep)
            node.JumpSliceByCentering(*ras)
        camera = self.scene.GetFirstNodeByClass("vtkMRMLCameraNode")
        camera.SetFocalPoint(*ras)
        camera.SetPosition(ras[0], ras[1] + distance_mm, ras[2])
        camera.SetViewUp(0.0, 0.0, 1.0)
        jump_to(self.scene, ras)

    def nearest(self, ras):
        """The row of the nodule at a place."""
        rows = self.panel.review.rows
        return min(rows, key=lambda row: sum((a - b) ** 2 for a, b in zip(row.nodule.centroid_ras, ras)))

    def save(self, name: str, part=None) -> None:
        """Take a picture, with this part of the panel in sight."""
        from PIL import Image

        self.wait(0.5)
        if part is not None:
            self.window.scroll_to(part)
        path = self.folder / f"{name}.png"
        self.window.save(path)
        with Image.open(path) as picture:
            fewer = picture.convert("RGB").quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE)
        fewer.save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)

    def take(self) -> None:
        """Walk through the tutorial."""
        from slicer_harness.window import click_in_slice

        panel, ui = self.panel, self.panel.ui
        ui.inputSelector.setCurrentNode(self.ct)
        panel.parameters.showProbability = True
        self.wait(1.0)
        self.save("tutorial-1-open")

        ui.applyButton.click()
        self.until(lambda: ui.progressBar.value >= 30 or not panel.running)
        self.save("tutorial-2-run", ui.applyButton)
        self.until(lambda: not panel.running)
        ui.inputSection.collapsed = ui.modelSection.collapsed = True
        panel.parameters.showProbability = False
        self.wait(0.5)

        self.look(SPICULATED_RAS, 120.0, 110.0)
        panel.nodules.go([self.nearest(SPICULATED_RAS).segment_id])
        self.save("tutorial-3-nodules", ui.nodulesTable)

        panel.parameters.sensitivity = 85.0
        self.wait(1.0)
        self.look(panel.review.rows[-1].nodule.centroid_ras, 160.0, 160.0)
        panel.nodules.go([panel.review.rows[-1].segment_id])
        self.save("tutorial-4-sensitivity", ui.nodulesTable)
        panel.parameters.sensitivity = 50.0
        self.wait(1.0)

        real = [self.nearest(ras).segment_id for ras in (SPICULATED_RAS, ROUND_RAS, CAVITY_RAS)]
        panel.review.reject([row.segment_id for row in panel.review.rows if row.segment_id not in real])
        panel.review.accept(real)
        self.look(CAVITY_RAS, 120.0, 110.0)
        panel.nodules.go(real[2:])
        self.save("tutorial-5-review", ui.nodulesTable)

        ui.placeButton.checked = True
        ui.newNoduleButton.click()
        self.look(CALCIFIED_RAS, 80.0, 110.0)
        self.wait(0.5)
        count = len(panel.review.rows)
        click_in_slice(self.window.slice_widget("Red"), CALCIFIED_RAS)
        self.until(lambda: len(panel.review.rows) > count, 120)
        self.save("tutorial-6-click", ui.placeButton)
        ui.placeButton.checked = False

        panel.parameters.showProbability = True
        self.look(SPICULATED_RAS, 160.0, 110.0)
        panel.nodules.go(real[:1])
        self.save("tutorial-7-probability", ui.nodulesTable)

    def close(self) -> None:
        """Give window and module back."""
        self.window.close()
        self.module.close()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "Resources" / "Screenshots")
    arguments = parser.parse_args()
    data = os.environ.get("LUNGNODULESEG_DATA")
    if not data or not (Path(data) / SCAN).is_dir():
        raise SystemExit(f"Set LUNGNODULESEG_DATA to the folder that holds {SCAN}.")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]
    from slicer_harness.application import start

    start()
    pictures = Pictures(arguments.output, Path(data))
    pictures.take()
    pictures.close()


if __name__ == "__main__":
    main()
