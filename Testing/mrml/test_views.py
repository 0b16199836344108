"""What a user sees: each segment in its own colour, at its place, drawn by Slicer itself."""

from __future__ import annotations

import colorsys
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleSegLib.mrml.segments import segment_color

_SCRIPT = """
import sys
sys.path[:0] = [".", "Testing"]
from pathlib import Path
from slicer_harness.scene import start_scene
from slicer_harness.messages import message_log
from slicer_harness.samples import result_of, sample_ct
from slicer_harness.nodes import parent_transform
from slicer_harness.views import SliceView, ThreeDView
from LungNoduleSegLib.mrml import ct_from_volume, publish, volume_from_ct
scene = start_scene()
ct, labels = sample_ct()
volume = volume_from_ct(ct, scene)
transform, _ = parent_transform(scene)
volume.SetAndObserveTransformNodeID(transform.GetID())
result = result_of(ct_from_volume(volume), labels)
nodes = publish(result, volume)
nodes.points.GetDisplayNode().SetVisibility(False)
nodes.segmentation.GetDisplayNode().SetOpacity2DFill(1.0)
out = Path(sys.argv[1])
for number, nodule in enumerate(result.nodules):
    SliceView(scene, f"Slice{number}", "Axial", volume, nodule.centroid_ras, field_mm=60).save(out / f"{number}.png")
ThreeDView(scene).save(out / "3d.png")
messages = message_log().take()
assert messages == [], messages
"""


def pixels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[..., :3].astype(int)


def saturation(image: np.ndarray) -> np.ndarray:
    """0 for grey, 1 for a pure colour."""
    return (image.max(axis=-1) - image.min(axis=-1)) / np.maximum(image.max(axis=-1), 1)


def test_slices_and_surfaces_show_every_nodule(tmp_path, monkeypatch):
    # A process of its own, because the kind of window is chosen once, by the environment.
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", _SCRIPT, str(tmp_path)], capture_output=True, text=True, cwd=root)
    if "libEGL not found" in done.stderr:
        pytest.skip("no libEGL on this machine, so nothing can be drawn without a screen")
    assert done.returncode == 0, done.stderr
    for number in range(3):
        image = pixels(tmp_path / f"{number}.png")
        # The view is centred on the nodule's centroid, so the middle must have the nodule's colour.
        middle = image[246:266, 246:266].reshape(-1, 3).mean(axis=0)
        expected = 255 * np.array(segment_color(number))
        assert np.abs(middle - expected).max() < 25
        assert (saturation(image) > 0.3).mean() < 0.1  # and the rest is a grey CT
    drawn = pixels(tmp_path / "3d.png")
    for number in range(3):
        red, green, blue = segment_color(number)
        hue, strength, _ = colorsys.rgb_to_hsv(red, green, blue)
        strong = drawn[saturation(drawn) > 0.8 * strength] / 255
        near = [abs((colorsys.rgb_to_hsv(*color)[0] - hue + 0.5) % 1 - 0.5) < 0.05 for color in strong]
        assert np.mean(saturation(drawn) > 0.8 * strength) < 0.2 and sum(near) > 300
