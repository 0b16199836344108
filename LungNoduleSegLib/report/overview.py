"""``overview.png``: what was found, on one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from LungNoduleSegLib import __version__
from LungNoduleSegLib.report import draw, planes, scene3d
from LungNoduleSegLib.report.text import RESEARCH_USE, best_place, best_sentence, headline, ras_text, training_sentence

PAGE_NODULES = 8  # more rows than this and the page is no overview
TABLE_ROWS = 14
MARGIN, GAP, TILE, NOTE = 40, 8, 320, 280
WIDTH = 2 * MARGIN + NOTE + 4 * (TILE + GAP)
VIEW_3D = 430
LEGEND = (
    "Outline: the segmentation. White lines: long and short axis, on the slice where they were measured.",
    "Axial and coronal: the patient's right is on the left. Slices are counted from the feet.",
)


def draw_overview(result, *, lungs: np.ndarray | None = None, title: str = "") -> Image.Image:
    """Draws the page.

    Parameters
    ----------
    result
        A :class:`~LungNoduleSegLib.segmenter.Result` or what was read back from a file.
    lungs
        [k, j, i], non-zero in the lungs, for the 3D view; computed from the CT where None.
    title
        Name of the CT as the user knows it (folder or file).

    Returns
    -------
    PIL.Image.Image
        RGB, 1672 px wide, as high as the nodules need (at most :data:`PAGE_NODULES` of them).
    """
    shown = list(result.nodules)[:PAGE_NODULES]
    head = _head(result, lungs, title)
    rows = [_nodule_row(result, nodule) for nodule in shown]
    if not shown:
        row = _best_row(result)
        rows = [row] if row is not None else []
    foot = _foot(result, len(shown))
    parts = [head, *rows, foot]
    page = Image.new("RGB", (WIDTH, sum(p.height for p in parts) + 14 * len(rows)), draw.BACKGROUND)
    y = 0
    for part in parts:
        page.paste(part, (0, y))
        y += part.height + (14 if part in rows else 0)
    return page


def write_overview(path: str | Path, result, *, lungs: np.ndarray | None = None, title: str = "") -> None:
    """Draws the page and writes it as PNG; arguments as in :func:`draw_overview`."""
    draw_overview(result, lungs=lungs, title=title).save(path, format="PNG", compress_level=6)


def _canvas(height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (WIDTH, height), draw.BACKGROUND)
    return picture, ImageDraw.Draw(picture)


def _head(result, lungs, title: str) -> Image.Image:
    notices = _notices(result)
    top = 118 + 26 * len(notices)
    picture, pen = _canvas(top + VIEW_3D + 26)
    draw.write(pen, (MARGIN, 54), headline(result), 34)
    draw.write(pen, (WIDTH - MARGIN, 54), f"LungNoduleSeg {__version__}", 22, draw.MUTED, "rs")
    ct = result.ct
    k, j, i = ct.spacing_mm
    facts = [title, f"{ct.shape[2]} × {ct.shape[1]} × {ct.shape[0]} voxels of {i:.2f} × {j:.2f} × {k:.2f} mm"]
    facts += [str(result.model)] + ([] if result.threshold is None else [f"threshold {result.threshold:.2f}"])
    text = "  ·  ".join(filter(None, facts))
    draw.write(pen, (MARGIN, 88), draw.shorten(text, 18, WIDTH - 2 * MARGIN), 18, draw.MUTED)
    for n, notice in enumerate(notices):
        draw.write(pen, (MARGIN, 118 + 26 * n), draw.shorten(notice, 18, WIDTH - 2 * MARGIN), 18, draw.WARNING)
    _paste_3d(picture, pen, result, lungs, top)
    left = 2 * VIEW_3D + MARGIN + 40
    _table(pen, result, left, top)
    for n, line in enumerate(reversed(LEGEND if result.nodules else LEGEND[-1:])):
        draw.write(pen, (left, top + VIEW_3D - 10 - 22 * n), line, 15, draw.MUTED)
    return picture


def _notices(result) -> list[str]:
    notices = [training_sentence(result), *result.warnings]
    return [text for text in notices if text][:4]


def _paste_3d(picture: Image.Image, pen: ImageDraw.ImageDraw, result, lungs, top: int) -> None:
    if lungs is None:
        from LungNoduleSegLib.ct import lungs as find_lungs

        lungs = find_lungs(result.ct)
    blobs = [(_mask(result, nodule), nodule.bounds_kji[0], nodule.label) for nodule in result.nodules]
    rendering = scene3d.render(lungs, blobs, result.ct, VIEW_3D)
    left = MARGIN
    if isinstance(rendering, str):
        pen.rectangle([left, top, left + 2 * VIEW_3D, top + VIEW_3D], fill=draw.PANEL)
        for n, line in enumerate(draw.wrap(rendering, 18, 2 * VIEW_3D - 60)):
            draw.write(pen, (left + 30, top + 50 + 26 * n), line, 18, draw.MUTED)
        return
    for v, view in enumerate(scene3d.VIEWS):
        tile = Image.fromarray(rendering.pictures[v])
        marks = ImageDraw.Draw(tile)
        for n, nodule in enumerate(result.nodules[:PAGE_NODULES]):
            (x, y), radius = rendering.positions[v, n], rendering.radii[v, n] + 7
            if np.isfinite(x):
                rgb = draw.colour(nodule.label)
                marks.ellipse([x - radius, y - radius, x + radius, y + radius], outline=rgb, width=1)
                draw.shadowed(marks, (x + radius * 0.75 + 3, y - radius * 0.75), str(nodule.label), 17, rgb)
        names = ("R", "L", "S", "I") if view == "front" else ("A", "P", "S", "I")
        draw.letters(marks, tile.size, names)
        draw.write(marks, (8, VIEW_3D - 10), f"from the {view}", 15, draw.MUTED)
        picture.paste(tile, (left + v * (VIEW_3D + GAP), top))


_COLUMNS = ((0, "l", ""), (34, "l", "side"), (190, "r", "axes, mm"), (280, "r", "vol, mm³"), (306, "l", "type"),
            (426, "l", "probability"))  # fmt: skip


def _table(pen: ImageDraw.ImageDraw, result, x: float, top: int) -> None:
    if not result.nodules:
        lines = list(filter(None, [best_sentence(result)]))
        if result.threshold is not None:
            small = result.min_diameter_mm
            lines.append(f"Nothing of at least {small:.1f} mm reached the threshold of {result.threshold:.2f}.")
        y = top + 40
        for line in lines:
            for piece in draw.wrap(line, 20, WIDTH - MARGIN - x):
                draw.write(pen, (x, y), piece, 20)
                y += 30
        return
    y = top + 30
    for at, side, name in _COLUMNS:
        draw.write(pen, (x + at, y), name, 17, draw.MUTED, side + "s")
    pen.line([(x, y + 10), (WIDTH - MARGIN, y + 10)], fill=draw.LINE)
    for nodule in result.nodules[:TABLE_ROWS]:
        y += 27 if len(result.nodules) > 8 else 36
        rgb = draw.colour(nodule.label)
        pen.ellipse([x, y - 14, x + 14, y], fill=rgb)
        cells = (str(nodule.label), nodule.side or "-", f"{nodule.long_axis_mm:.1f} × {nodule.short_axis_mm:.1f}",
                 f"{nodule.volume_mm3:,.0f}", nodule.attenuation)  # fmt: skip
        for (at, side, _), cell in zip(_COLUMNS, cells):
            draw.write(pen, (x + at + (20 if at == 0 else 14 if at == 34 else 0), y), cell, 18, draw.TEXT, side + "s")
        bar, span = x + _COLUMNS[-1][0], WIDTH - MARGIN - x - _COLUMNS[-1][0] - 52
        pen.rounded_rectangle([bar, y - 11, bar + span, y - 3], 4, fill=draw.LINE)
        pen.rounded_rectangle([bar, y - 11, bar + max(8, span * nodule.probability), y - 3], 4, fill=rgb)
        draw.write(pen, (WIDTH - MARGIN, y), f"{nodule.probability:.2f}", 18, draw.TEXT, "rs")
    if len(result.nodules) > TABLE_ROWS:
        left = len(result.nodules) - TABLE_ROWS
        draw.write(pen, (x, y + 32), f"and {left} more in nodules.csv", 17, draw.MUTED)


def _mask(result, nodule) -> np.ndarray:
    low, high = nodule.bounds_kji
    return result.labels[tuple(slice(a, b) for a, b in zip(low, high))] == nodule.label


def _nodule_row(result, nodule) -> Image.Image:
    picture, pen = _canvas(TILE)
    rgb = draw.colour(nodule.label)
    pen.rectangle([MARGIN, 0, MARGIN + NOTE - GAP, TILE], fill=draw.PANEL)
    pen.rectangle([MARGIN, 0, MARGIN + 5, TILE], fill=rgb)
    x, y = MARGIN + 26, 42
    draw.write(pen, (x, y), nodule.name, 27, rgb)
    kind = nodule.attenuation
    if nodule.solid_diameter_mm is not None:
        kind += f", solid part {nodule.solid_diameter_mm:.1f} mm"
    where = f"{nodule.side} lung" if nodule.side else "side not determined"
    lines = [
        (f"{nodule.long_axis_mm:.1f} × {nodule.short_axis_mm:.1f} mm", 22, draw.TEXT),
        (f"mean diameter {nodule.mean_diameter_mm:.1f} mm", 17, draw.MUTED),
        (f"volume {nodule.volume_mm3:,.0f} mm³", 17, draw.MUTED),
        (kind, 19, draw.TEXT),
        (f"mean {nodule.mean_hu:.0f} HU", 17, draw.MUTED),
        (where, 19, draw.TEXT),
        (ras_text(nodule.centroid_ras), 17, draw.MUTED),
        (f"probability {nodule.probability:.2f}", 19, draw.TEXT),
    ]
    y += 12
    for text, size, fill in lines:
        y += 34 if fill is draw.TEXT else 25
        draw.write(pen, (x, y), text, size, fill)
    axis_z = np.mean(nodule.long_axis_ras, axis=0)
    _paste_views(picture, result, nodule.centroid_ras, axis_z, _field_mm(result.ct, nodule), nodule)
    return picture


def _field_mm(ct, nodule) -> float:
    """Side of the magnified views: the nodule takes about a third to a half of it."""
    low, high = nodule.bounds_kji
    extent = max((b - a) * mm for a, b, mm in zip(low, high, ct.spacing_mm))
    return float(np.clip(2.4 * extent, 36.0, 160.0))


def _best_row(result) -> Image.Image | None:
    """The place of the highest probability, when nothing was found."""
    best = best_place(result)
    if best is None:
        return None
    point = best.ras
    picture, pen = _canvas(TILE)
    pen.rectangle([MARGIN, 0, MARGIN + NOTE - GAP, TILE], fill=draw.PANEL)
    x, y = MARGIN + 26, 44
    draw.write(pen, (x, y), "Not a finding", 25)
    for line in draw.wrap("The place with the highest probability in this CT:", 17, NOTE - 60):
        y += 28
        draw.write(pen, (x, y), line, 17, draw.MUTED)
    for line in (f"probability {best.probability:.2f}", ras_text(point)):
        y += 34
        draw.write(pen, (x, y), line, 18)
    _paste_views(picture, result, point, point, 60.0, None)
    return picture


def _paste_views(picture: Image.Image, result, centre, axial_through, field_mm: float, nodule) -> None:
    ct = result.ct
    axes = planes.anatomical_axes(ct.ijk_to_ras)
    # The axial views show the slice that the axes were measured on, kept centred in the plane on the nodule.
    up = axes[2]
    centre = np.asarray(centre, float)
    on_axis = centre + up * float((np.asarray(axial_through, float) - centre) @ up)
    x = MARGIN + NOTE
    whole = _whole_slice(ct, axes, on_axis)
    tile = _tile(result, whole, nodule, order=1, thin=True)
    pen = ImageDraw.Draw(tile)
    cx, cy = whole.to_pixel(on_axis)
    half = field_mm / whole.mm_per_px / 2
    pen.rectangle([cx - half, cy - half, cx + half, cy + half], outline=draw.TEXT)
    draw.shadowed(pen, (TILE - 10, 20), f"slice {_slice_number(ct, axes, on_axis)}", 15, draw.TEXT, "rs")
    picture.paste(tile, (x, 0))
    for view in planes.VIEWS:
        x += TILE + GAP
        through = on_axis if view == "axial" else centre
        where = planes.plane(view, axes, through, (TILE, TILE), field_mm / TILE)
        tile = _tile(result, where, nodule, order=3)
        if view == "axial" and nodule is not None:
            for axis in (nodule.long_axis_ras, nodule.short_axis_ras):
                if where.distance_mm(np.mean(axis, axis=0)) < max(ct.spacing_mm):
                    tile = draw.caliper(tile, *(where.to_pixel(end) for end in axis))
        pen = ImageDraw.Draw(tile)
        draw.scale_bar(pen, tile.size, where.mm_per_px)
        draw.letters(pen, tile.size, where.letters)
        draw.shadowed(pen, (10, 20), view, 15)
        picture.paste(tile, (x, 0))


def _whole_slice(ct, axes, through) -> planes.Plane:
    """The whole axial slice, square, through a point."""
    corners = _corners(ct)
    middle = corners.mean(0)
    centre = middle + axes[2] * float((np.asarray(through) - middle) @ axes[2])
    side = max(np.ptp(corners @ axes[0]), np.ptp(corners @ axes[1]))
    return planes.plane("axial", axes, centre, (TILE, TILE), float(side) / TILE)


def _corners(ct) -> np.ndarray:
    """RAS of the eight outer corners of the CT, mm."""
    ends = [(-0.5, n - 0.5) for n in ct.shape]
    return ct.kji_to_ras(np.array([[k, j, i] for k in ends[0] for j in ends[1] for i in ends[2]]))


def _slice_number(ct, axes, through) -> str:
    """Place in the stack, counted from the feet, of the voxel layer through a point: ``82/133``."""
    directions = np.asarray(ct.ijk_to_ras)[:3, :3] / np.linalg.norm(np.asarray(ct.ijk_to_ras)[:3, :3], axis=0)
    column = int(np.argmax(np.abs(axes[2] @ directions)))
    axis = 2 - column
    index = float(ct.ras_to_kji(np.asarray(through, float))[axis])
    if axes[2] @ directions[:, column] < 0:
        index = ct.shape[axis] - 1 - index
    return f"{int(np.clip(round(index), 0, ct.shape[axis] - 1)) + 1}/{ct.shape[axis]}"


def _tile(result, where: planes.Plane, nodule, *, order: int, thin: bool = False) -> Image.Image:
    """The CT in the lung window on a plane, with the outline of every nodule that the plane meets."""
    picture = draw.grey(planes.sample(result.ct.hu, (0, 0, 0), result.ct, where, order=order))
    corners = result.ct.ras_to_kji(where.points()[[0, 0, -1, -1], [0, -1, 0, -1]])
    low, high = corners.min(0) - 1, corners.max(0) + 1
    for other in result.nodules:
        start, end = np.array(other.bounds_kji)
        if np.any(end < low) or np.any(start > high):
            continue
        inside = planes.sample(np.pad(_mask(result, other), 1), start - 1, result.ct, where, order=1, outside=0.0)
        same = nodule is not None and other.label == nodule.label
        picture = draw.outline(picture, inside, draw.colour(other.label), 1.2 if thin or not same else 2.0)
    return picture


def _foot(result, shown: int) -> Image.Image:
    picture, pen = _canvas(72)
    text = RESEARCH_USE
    hidden = len(result.nodules) - shown
    if hidden > 0:
        what = "nodule is" if hidden == 1 else "nodules are"
        text = f"The {shown} most probable nodules are shown; {hidden} more {what} in nodules.csv.  {text}"
    centre, width = draw.LUNG_WINDOW
    draw.write(pen, (MARGIN, 40), text, 17, draw.MUTED)
    draw.write(pen, (WIDTH - MARGIN, 40), f"lung window {centre:.0f} / {width:.0f} HU", 17, draw.MUTED, "rs")
    return picture
