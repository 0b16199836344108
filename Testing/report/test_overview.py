"""The page: what is on it, checked by its pixels and by the texts that it writes."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from LungNoduleSegLib.report import draw, overview, scene3d
from LungNoduleSegLib.report.text import RESEARCH_USE


@pytest.fixture
def texts(monkeypatch):
    """Every text that is written on a picture."""
    seen: list[str] = []
    write = draw.write

    def spy(pen, at, text, *rest):
        seen.append(text)
        return write(pen, at, text, *rest)

    monkeypatch.setattr(draw, "write", spy)
    return seen


@pytest.fixture
def no_3d(monkeypatch):
    monkeypatch.setattr(scene3d, "render", lambda *_: "There is no 3D view in this test.")


def near(pixels, rgb, tolerance=12):
    return np.abs(pixels.astype(int) - np.array(rgb)).max(-1) <= tolerance


def test_page_has_a_row_with_outlines_for_each_nodule(result, texts, no_3d, lungs):
    page = np.asarray(overview.draw_overview(result, lungs=lungs, title="a CT"))
    assert page.shape[1] == overview.WIDTH
    rows_from = page.shape[0] - 72 - 2 * (overview.TILE + 14)
    for n in range(2):
        top = rows_from + n * (overview.TILE + 14)
        ink = np.ptp(page[top : top + overview.TILE].astype(int), axis=-1) > 40  # a CT is grey, an outline is not
        for view in range(4):  # whole slice, axial, coronal, sagittal
            left = overview.MARGIN + overview.NOTE + view * (overview.TILE + overview.GAP)
            assert ink[:, left : left + overview.TILE].sum() > 20, view
    said = " | ".join(texts)
    for nodule in result.nodules:
        assert f"{nodule.long_axis_mm:.1f} × {nodule.short_axis_mm:.1f} mm" in said
        assert f"volume {nodule.volume_mm3:,.0f} mm³" in said
    assert RESEARCH_USE in said
    assert "2 nodules" in texts
    assert any("a CT" in text and "model-2-compact" in text for text in texts)
    assert "There is no 3D view in this test." in said


def test_outline_encloses_the_nodule_in_the_axial_view(result, no_3d):
    nodule = result.nodules[0]
    row = np.asarray(overview._nodule_row(result, nodule))
    left = overview.MARGIN + overview.NOTE + overview.TILE + overview.GAP
    tile = row[:, left : left + overview.TILE]
    ys, xs = np.nonzero(near(tile, draw.colour(1)))
    field = overview._field_mm(result.ct, nodule)
    middle = (overview.TILE - 1) / 2
    assert np.ptp(xs) * field / overview.TILE == pytest.approx(8.0, abs=1.6)  # a ball of 4 mm radius, 1.5 mm voxels
    assert np.ptp(ys) * field / overview.TILE == pytest.approx(8.0, abs=1.6)
    assert xs.mean() == pytest.approx(middle, abs=6)
    assert ys.mean() == pytest.approx(middle, abs=6)


def test_more_nodules_than_fit_are_said(make, texts, no_3d, lungs):
    result = make(12)
    page = overview.draw_overview(result, lungs=lungs)
    assert "Nodule 8" in texts
    assert "Nodule 9" not in texts
    assert any("The 8 most probable nodules are shown; 4 more nodules are in nodules.csv." in text for text in texts)
    assert page.height < 130 + overview.VIEW_3D + 26 + 72 + 8 * (overview.TILE + 14) + 1


def test_long_table_ends_with_the_number_left(make, texts, no_3d, lungs):
    result = make(16)
    overview.draw_overview(result, lungs=lungs)
    assert "and 2 more in nodules.csv" in texts


def test_nothing_found_shows_the_best_place(make, texts, no_3d, lungs):
    result = make(0, best=(0.31, (39.0, 0.0, 0.0)))
    page = overview.draw_overview(result, lungs=lungs)
    assert "No nodule found" in texts
    assert "Not a finding" in texts
    assert "probability 0.31" in texts
    assert "R 39.0, A 0.0, S 0.0 mm" in texts
    assert page.height > overview.VIEW_3D + overview.TILE


def test_candidate_below_the_threshold_is_the_best_place(make, texts, no_3d, lungs):
    result = make(1, best=(0.99, (0.0, 0.0, 0.0))).at(0.97)
    overview.draw_overview(result, lungs=lungs)
    assert "probability 0.95" in texts  # the candidate's, which the threshold is applied to, not the voxel's
    assert "Nothing of at least 3.0 mm reached the threshold of 0.97." in " ".join(texts)


def test_nothing_rated_at_all_is_a_page_too(make, texts, no_3d, lungs):
    result = make(0)
    assert result.best is None
    overview.draw_overview(result, lungs=lungs)
    assert "No nodule found" in texts
    assert "Not a finding" not in texts


def test_training_and_warnings_are_said(result, texts, no_3d, lungs):
    result = dataclasses.replace(result, seen_in_training="train", warnings=("Slices are 5 mm apart.",))
    overview.draw_overview(result, lungs=lungs)
    assert any(text.startswith("The model was trained on this CT") for text in texts)
    assert "Slices are 5 mm apart." in texts


def test_slice_number_counts_from_the_feet(result):
    axes = np.eye(3)
    assert overview._slice_number(result.ct, axes, result.ct.kji_to_ras(np.array([0.0, 50, 60]))) == "1/40"
    assert overview._slice_number(result.ct, axes, result.ct.kji_to_ras(np.array([39.0, 50, 60]))) == "40/40"
    flipped = SimpleNamespace(
        ijk_to_ras=np.array(result.ct.ijk_to_ras) @ np.diag([1, 1, -1, 1.0]),
        shape=result.ct.shape,
        ras_to_kji=lambda ras: result.ct.ras_to_kji(ras) * [-1, 1, 1],
    )
    assert overview._slice_number(flipped, axes, (0, 0, -60.0)) == "40/40"


@pytest.mark.parametrize("degrees", [0, 25])
def test_oblique_and_sagittal_grids_are_drawn(make, no_3d, degrees):
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    base = np.array([[-1.5, 0, 0, 90], [0, -1.5, 0, 75], [0, 0, 3, -60], [0, 0, 0, 1.0]])
    result = make(1, ijk_to_ras=turn @ base)
    plain = np.asarray(overview._nodule_row(make(1), make(1).nodules[0]))
    turned = np.asarray(overview._nodule_row(result, result.nodules[0]))
    # Views follow the voxels: the pictures do not change with the patient's pose (the text beside them does).
    views = slice(overview.MARGIN + overview.NOTE, None)
    assert np.abs(plain[:, views].astype(int) - turned[:, views]).mean() < 1.0


def test_part_solid_nodule_says_its_solid_part(result, texts, no_3d, lungs):
    nodule = dataclasses.replace(result.nodules[0], attenuation="part-solid", solid_diameter_mm=5.04)
    overview._nodule_row(result, nodule)
    assert "part-solid, solid part 5.0 mm" in texts


@pytest.mark.skipif(scene3d.find_spec("vtkmodules") is None, reason="vtk is not installed")
def test_rendering_shows_each_nodule_where_it_projects(result, lungs):
    blobs = [(overview._mask(result, n), n.bounds_kji[0], n.label) for n in result.nodules]
    rendering = scene3d.render(lungs, blobs, result.ct, 200)
    assert not isinstance(rendering, str), rendering
    assert rendering.pictures.shape == (2, 200, 200, 3)
    front = rendering.pictures[0]
    for n, nodule in enumerate(result.nodules):
        x, y = rendering.positions[0, n]
        pixel = front[round(y), round(x)].astype(float)
        wanted = np.array(draw.colour(nodule.label), float)
        assert pixel @ wanted / np.linalg.norm(pixel) / np.linalg.norm(wanted) > 0.97  # the hue, whatever the shading
    # The patient's right lung (nodule 1) is on the picture's left, both nodules at the height of their slices.
    assert rendering.positions[0, 0, 0] < 100 < rendering.positions[0, 1, 0]
    background = near(front, draw.BACKGROUND, 6)
    assert 0.2 < background.mean() < 0.9  # the lungs are seen, and do not fill the page
    assert background[:5].all()


def test_rendering_without_lungs_or_nodules_is_a_picture(make, lungs):
    result = make(0)
    if scene3d.find_spec("vtkmodules") is None:
        pytest.skip("vtk is not installed")
    rendering = scene3d.render(np.zeros_like(lungs), [], result.ct, 64)
    assert near(rendering.pictures[0], draw.BACKGROUND, 2).all()
    assert rendering.positions.shape == (2, 0, 2)


def test_failed_rendering_is_a_sentence(result, monkeypatch, lungs):
    monkeypatch.setattr(scene3d.sys, "executable", "/bin/false")
    if scene3d.find_spec("vtkmodules") is None:
        pytest.skip("vtk is not installed")
    said = scene3d.render(lungs, [], result.ct, 64)
    assert said.startswith("The 3D view could not be rendered")


def test_missing_vtk_is_a_sentence(result, monkeypatch, lungs):
    monkeypatch.setattr(scene3d, "find_spec", lambda name: None)
    assert "pip install vtk" in scene3d.render(lungs, [], result.ct, 64)


def test_written_file_is_a_png(result, tmp_path, no_3d, lungs):
    path = tmp_path / "Übersicht 1.png"
    overview.write_overview(path, result, lungs=lungs)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
