"""The pictures of the tutorial: the real panel with real results, on Slicer's own scene and views, without the application.

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
CAVITY_RAS = (45.8, -59.9, -201.0)
"""A cavitary nodule that three readers of LIDC-IDRI outlined, and that a run on the whole CT does not list."""


def main() -> None:
    """Walk through the tutorial and take its pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "Resources" / "Screenshots")
    parser.add_argument("--model", default="model-2-compact")
    arguments = parser.parse_args()
    data = os.environ.get("LUNGNODULESEG_DATA")
    if not data or not (Path(data) / SCAN).is_dir():
        raise SystemExit(f"Set LUNGNODULESEG_DATA to the folder that holds {SCAN}.")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]
    from slicer_harness.application import PANEL, open_module, start

    start()
    import slicer
    from slicer_harness.window import MainWindow, click_in_slice, picture_of_panel

    from LungNoduleSegLib import read_ct
    from LungNoduleSegLib.mrml import volume_from_ct
    from LungNoduleSegLib.mrml.views import jump_to

    module = open_module(PANEL)
    panel = module.widget
    ct_node = volume_from_ct(read_ct(Path(data) / SCAN), slicer.mrmlScene, "LIDC-IDRI-0063")
    window = MainWindow(module)
    window.show_volume(ct_node)

    def until(condition, limit_s=900.0):
        end = time.monotonic() + limit_s
        while not condition() and time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.005)

    def wait(seconds):
        until(lambda: False, seconds)

    def zoom(ras, field_mm):
        for name in ("Red", "Yellow", "Green"):
            node = window.slice_widget(name).mrmlSliceNode()
            wide, high, deep = node.GetFieldOfView()
            node.SetFieldOfView(field_mm, field_mm * high / wide, deep)
        jump_to(slicer.mrmlScene, ras)

    def save(name, section=None):
        wait(0.3)
        if section is not None:
            window.scroll_to(section)
        window.save(arguments.output / f"{name}.png")
        print(name, flush=True)

    panel.ui.inputSelector.setCurrentNode(ct_node)
    panel.parameters.model = arguments.model
    panel.parameters.showProbability = True
    wait(1.0)
    save("panel-1-input")
    panel.ui.applyButton.click()
    until(lambda: panel.ui.progressBar.value >= 30 or not panel.running)
    save("panel-2-run", panel.ui.applyButton)
    until(lambda: not panel.running)
    panel.parameters.showProbability = False
    panel.ui.inputSection.collapsed = panel.ui.modelSection.collapsed = True
    largest = max(panel.review.rows, key=lambda row: row.nodule.volume_mm3)
    zoom(largest.nodule.centroid_ras, 120.0)
    window.three_d_widget().threeDView().resetFocalPoint()
    panel.nodules.go([largest.segment_id])
    save("panel-3-nodules", panel.ui.nodulesTable)
    panel.parameters.sensitivity = 85.0
    wait(1.0)
    save("panel-4-sensitivity", panel.ui.nodulesTable)
    panel.parameters.sensitivity = 50.0
    wait(1.0)
    panel.ui.placeButton.checked = True
    zoom(CAVITY_RAS, 120.0)
    wait(0.5)
    count = len(panel.review.rows)
    click_in_slice(window.slice_widget("Red"), CAVITY_RAS)
    until(lambda: len(panel.review.rows) > count, 120)
    save("panel-5-click", panel.ui.placeButton)
    panel.ui.placeButton.checked = False
    rows = panel.review.rows
    panel.review.accept([row.segment_id for row in rows if row.nodule.probability > 0.9 or row.kind != "AUTOMATIC"])
    panel.review.reject([row.segment_id for row in rows if row.nodule.probability <= 0.9 and row.kind == "AUTOMATIC"])
    panel.review.rename(rows[-1].segment_id, "Cavity")
    save("panel-6-review", panel.ui.nodulesTable)
    panel.parameters.showProbability = True
    zoom(largest.nodule.centroid_ras, 200.0)
    save("panel-7-probability")
    window.close()
    for section in panel.sections:
        for name in vars(section.ui):
            if name.endswith("Section"):
                getattr(section.ui, name).collapsed = False
    for dark in (False, True):
        cut = picture_of_panel(module, arguments.output / f"panel-all-{'dark' if dark else 'light'}.png", dark=dark)
        if cut:
            print("Cut off:", *cut, sep="\n  ")
    module.close()


if __name__ == "__main__":
    main()
