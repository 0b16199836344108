"""The nodules inside a translucent lung surface, rendered by VTK without a window.

Runs in a process of its own (``python -m LungNoduleSegLib.report.scene3d IN.npz OUT.npz``): a graphics driver that
fails then costs a sentence in the picture instead of the run, and VTK never shares a process with torch.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy import ndimage

from LungNoduleSegLib.report.draw import BACKGROUND, colour
from LungNoduleSegLib.report.processes import library_environment

LUNG_GRID_MM = 2.0  # finer detail of the lung surface cannot be seen at the size it is shown
TIMEOUT_S = 300
VIEWS = ("front", "left")  # from where the patient is looked at
_TOWARDS = {"front": (0, 1, 0), "left": (-1, 0, 0)}


@dataclass(frozen=True)
class Rendering:
    """Pictures uint8 (views, size, size, 3); nodule positions (views, n, 2), px from the top left; radii (views, n)."""

    pictures: np.ndarray
    positions: np.ndarray
    radii: np.ndarray


def render(lungs: np.ndarray, nodules: list[tuple[np.ndarray, tuple[int, int, int], int]], ct, size: int = 560):
    """Renders the views.

    Parameters
    ----------
    lungs
        [k, j, i] on the CT's grid; what is not zero is lung. May be empty of lung: then the nodules stand alone.
    nodules
        (mask [k, j, i] of a box, the box's first voxel (k, j, i), label).
    ct
        Gives ``ijk_to_ras`` and ``spacing_mm``.
    size
        Width and height of a view, px.

    Returns
    -------
    Rendering or str
        A sentence that says why, where it cannot be rendered.
    """
    if find_spec("vtkmodules") is None:
        return "VTK is not installed, so there is no 3D view (pip install vtk)."
    with tempfile.TemporaryDirectory(prefix="lns-", ignore_cleanup_errors=True) as folder:
        source, target = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(source, **_scene_arrays(lungs, nodules, ct, size))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "LungNoduleSegLib.report.scene3d", str(source), str(target)],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, env=library_environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"The 3D view took longer than {TIMEOUT_S} s and was left out."
        if done.returncode != 0 or not target.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            return f"The 3D view could not be rendered: {said[-1] if said else f'exit code {done.returncode}'}"
        with np.load(target) as data:
            return Rendering(data["pictures"], data["positions"], data["radii"])


def _scene_arrays(lungs: np.ndarray, nodules, ct, size: int) -> dict[str, np.ndarray]:
    step = tuple(max(1, round(LUNG_GRID_MM / mm)) for mm in ct.spacing_mm)
    coarse = np.ascontiguousarray(lungs[tuple(slice(None, None, s) for s in step)] != 0)
    # Grid of the coarse volume: ijk_to_ras columns are i, j, k, the step is in array order.
    affine = np.asarray(ct.ijk_to_ras, dtype=float) @ np.diag([step[2], step[1], step[0], 1.0])
    arrays = {"size": np.array(size), "lungs": coarse, "lungs_to_ras": affine, "count": np.array(len(nodules))}
    for n, (mask, offset, label) in enumerate(nodules):
        to_ras = np.array(ct.ijk_to_ras, dtype=float)
        to_ras[:3, 3] = (to_ras @ [offset[2], offset[1], offset[0], 1.0])[:3]
        arrays |= {f"mask{n}": np.asarray(mask, bool), f"to_ras{n}": to_ras, f"rgb{n}": np.array(colour(label))}
    return arrays


def _surface(mask: np.ndarray, to_ras: np.ndarray, sigma_mm: float):
    """Smooth surface of a mask in RAS mm as vtkPolyData with point normals; None for an empty one."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkCommonMath import vtkMatrix4x4
    from vtkmodules.vtkCommonTransforms import vtkTransform
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter
    from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter

    if not mask.any():
        return None
    pad = 4
    spacing_kji = np.linalg.norm(to_ras[:3, :3], axis=0)[::-1]
    field = ndimage.gaussian_filter(np.pad(mask, pad).astype(np.float32), sigma_mm / spacing_kji)
    # Smoothing shrinks what is small: the level that keeps the volume, at most one half.
    level = float(min(0.5, np.partition(field.ravel(), -int(mask.sum()))[-int(mask.sum())]))
    image = vtkImageData()
    image.SetDimensions(*field.shape[::-1])
    image.SetOrigin(-pad, -pad, -pad)
    image.GetPointData().SetScalars(numpy_to_vtk(field.ravel(), deep=True))
    matrix = vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(to_ras, float).ravel())
    transform = vtkTransform()
    transform.SetMatrix(matrix)
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, max(level, 0.05))
    moved = vtkTransformPolyDataFilter()
    moved.SetTransform(transform)
    moved.SetInputConnection(edges.GetOutputPort())
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(moved.GetOutputPort())
    smooth.SetNumberOfIterations(12)
    smooth.SetPassBand(0.08)
    smooth.NormalizeCoordinatesOn()
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(smooth.GetOutputPort())
    normals.SplittingOff()
    normals.Update()
    surface = normals.GetOutput()
    return surface if surface.GetNumberOfPoints() else None


def _glass(surface, towards) -> None:
    """Colours a surface like thin glass: clear where it faces the viewer, denser at its edge."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    normals = vtk_to_numpy(surface.GetPointData().GetNormals())
    edge = 1 - np.abs(normals @ np.asarray(towards, dtype=np.float32))
    rgba = np.empty((len(normals), 4), dtype=np.uint8)
    rgba[:, :3] = (150, 185, 220)
    rgba[:, 3] = np.clip(255 * (0.035 + 0.26 * edge**2.2), 0, 255)
    scalars = numpy_to_vtk(rgba, deep=True)
    scalars.SetName("glass")
    surface.GetPointData().SetScalars(scalars)


def _work(source: str, target: str) -> None:
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - registers the renderer
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import (
        vtkActor,
        vtkPolyDataMapper,
        vtkRenderer,
        vtkRenderWindow,
        vtkWindowToImageFilter,
    )

    with np.load(source) as data:
        size, count = int(data["size"]), int(data["count"])
        lungs = _surface(data["lungs"], data["lungs_to_ras"], 3.0)  # the mask is made on a coarse grid
        masks = [(data[f"mask{n}"], data[f"to_ras{n}"], data[f"rgb{n}"]) for n in range(count)]
    blobs = [(_surface(mask, to_ras, 0.5), rgb) for mask, to_ras, rgb in masks]
    bounds = [surface.GetBounds() for surface in [lungs, *(b for b, _ in blobs)] if surface is not None]
    low = np.min([b[0::2] for b in bounds], axis=0) if bounds else np.zeros(3)
    high = np.max([b[1::2] for b in bounds], axis=0) if bounds else np.ones(3)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2, 10.0) * 1.06

    renderer = vtkRenderer()
    renderer.SetBackground(*(c / 255 for c in BACKGROUND))
    renderer.SetUseDepthPeeling(True)
    renderer.SetMaximumNumberOfPeels(30)
    renderer.SetOcclusionRatio(0.0)
    scale = 2  # drawn twice as fine and reduced: no jagged edges where the driver has no multi-sampling
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetAlphaBitPlanes(1)
    window.SetSize(size * scale, size * scale)
    window.AddRenderer(renderer)
    if lungs is not None:
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(lungs)
        mapper.SetColorModeToDirectScalars()
        glass = vtkActor()
        glass.SetMapper(mapper)
        glass.ForceTranslucentOn()
        glass.GetProperty().SetAmbient(0.75)
        glass.GetProperty().SetDiffuse(0.35)
        renderer.AddActor(glass)
    for surface, rgb in blobs:
        if surface is None:
            continue
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(surface)
        mapper.ScalarVisibilityOff()
        actor = vtkActor()
        actor.SetMapper(mapper)
        actor.GetProperty().SetColor(*(rgb / 255))
        actor.GetProperty().SetAmbient(0.35)
        actor.GetProperty().SetDiffuse(0.75)
        actor.GetProperty().SetSpecular(0.3)
        actor.GetProperty().SetSpecularPower(20)
        renderer.AddActor(actor)

    pictures, positions, radii = [], [], []
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    for view in VIEWS:
        towards = np.array(_TOWARDS[view], float)
        if lungs is not None:
            _glass(lungs, towards)
        camera.SetFocalPoint(*centre)
        camera.SetPosition(*(centre + towards * 1000))
        camera.SetViewUp(0, 0, 1)
        camera.SetParallelScale(half)
        renderer.ResetCameraClippingRange()
        window.Render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(size * scale, size * scale, -1)[::-1, :, :3]
        pictures.append(pixels.reshape(size, scale, size, scale, 3).mean((1, 3)).round().astype(np.uint8))
        across = np.cross(np.array([0, 0, 1.0]), towards)
        px_per_mm = size / (2 * half)
        boxes = [np.array(b.GetBounds()) if b is not None else np.full(6, np.nan) for b, _ in blobs]
        middles = np.array([(box[0::2] + box[1::2]) / 2 for box in boxes]).reshape(-1, 3) - centre
        extents = np.array([np.linalg.norm(box[1::2] - box[0::2]) / np.sqrt(3) / 2 for box in boxes])
        positions.append(
            np.stack([size / 2 + middles @ across * px_per_mm, size / 2 - middles[:, 2] * px_per_mm], axis=1)
        )
        radii.append(extents * px_per_mm)
    np.savez(target, pictures=np.array(pictures), positions=np.array(positions), radii=np.array(radii))


if __name__ == "__main__":
    _work(*sys.argv[1:3])
