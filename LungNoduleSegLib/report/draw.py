"""Drawing on Pillow pictures: grey levels, outlines, text, scale bars, calipers.

Pillow's built-in font carries few signs beyond ASCII, and no font file is shipped, so what it lacks is drawn
(raised digits) or spelt with what it has.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from LungNoduleSegLib.mrml.segments import segment_color

BACKGROUND = (13, 17, 23)
PANEL = (22, 27, 34)
LINE = (48, 54, 61)
TEXT = (230, 237, 243)
MUTED = (145, 155, 166)
WARNING = (240, 184, 80)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of red, green and blue (ITU-R BT.709)
LEAST_LUMINANCE = 0.45
LUNG_WINDOW = (-600.0, 1500.0)  # centre, width, HU: the usual lung window

_SPELT = {"×": "x", "–": "-", "—": "-", "−": "-", "≥": ">=", "≤": "<=", "µ": "u", "³": "^3", "²": "^2", "ß": "ss",
          "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ł": "l", "Ł": "L", "đ": "d", "→": "->", "’": "'", "“": '"',
          "”": '"', "„": '"'}  # fmt: skip


def colour(label: int) -> tuple[int, int, int]:
    """RGB 0..255 of a nodule: that of its segment in the scene, lightened where it would be lost on a dark page."""
    rgb = np.array(segment_color(label - 1))
    luminance = float(rgb @ LUMINANCE)
    white = max(0.0, (LEAST_LUMINANCE - luminance) / (1 - luminance))
    red, green, blue = np.rint((rgb + (1 - rgb) * white) * 255).astype(int).tolist()
    return red, green, blue


@lru_cache(maxsize=32)
def font(size: float):
    """Pillow's built-in font at ``size`` px."""
    return ImageFont.load_default(size)


def spell(text: str) -> str:
    """The text in signs that the built-in font has: accents dropped, what cannot be spelt becomes "?"."""
    text = "".join(_SPELT.get(sign, sign) for sign in text)
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return "".join(sign if 32 <= ord(sign) < 127 or sign in "·°±…" else "?" for sign in plain)


def write(draw: ImageDraw.ImageDraw, at, text: str, size: float = 20, fill=TEXT, anchor: str = "ls") -> float:
    """Writes one line and returns its width; ``³`` and ``²`` become raised digits. ``anchor`` as in Pillow."""
    parts: list[tuple[str, bool]] = []
    for sign in text:
        raised = sign in "²³"
        sign = {"²": "2", "³": "3"}.get(sign) or spell(sign)
        if parts and parts[-1][1] == raised:
            parts[-1] = (parts[-1][0] + sign, raised)
        else:
            parts.append((sign, raised))
    widths = [font(size * 0.68 if raised else size).getlength(part) for part, raised in parts]
    total = sum(widths)
    x, y = at
    x -= {"l": 0.0, "m": total / 2, "r": total}[anchor[0]]
    for (part, raised), width in zip(parts, widths):
        if raised:
            draw.text((x, y - size * 0.34), part, font=font(size * 0.68), fill=fill, anchor="l" + anchor[1])
        else:
            draw.text((x, y), part, font=font(size), fill=fill, anchor="l" + anchor[1])
        x += width
    return total


def shorten(text: str, size: float, width: float, *, keep: str = "start") -> str:
    """The text, cut with an ellipsis so that it is at most ``width`` px wide; ``keep`` "start" or "end"."""
    text = spell(text)
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[:-1] if keep == "start" else text[1:]
    return text + "…" if keep == "start" else "…" + text


def wrap(text: str, size: float, width: float) -> list[str]:
    """Lines of at most ``width`` px, broken between words; a longer word is cut."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(spell(joined)) <= width:
            lines[-1] = joined
        else:
            lines.append(shorten(word, size, width))
    return lines


def grey(hu: np.ndarray, window=LUNG_WINDOW) -> Image.Image:
    """HU to an RGB picture through a window (centre, width)."""
    centre, width = window
    level = np.clip((hu - (centre - width / 2)) / width, 0, 1)
    return Image.fromarray((level * 255 + 0.5).astype(np.uint8)).convert("RGB")


def outline(picture: Image.Image, inside: np.ndarray, rgb, width_px: float = 2.0) -> Image.Image:
    """Draws the smooth border of a region.

    ``inside`` is (height, width) float, 1 in the region and 0 outside (interpolated values between are welcome); the
    border runs where it crosses one half.
    """
    if not (inside >= 0.5).any():
        return picture
    scale = 2  # distances on a finer grid make the line smooth
    fine = ndimage.zoom(inside.astype(np.float32), scale, order=1, grid_mode=True, mode="nearest") >= 0.5
    distance = (ndimage.distance_transform_edt(fine) + ndimage.distance_transform_edt(~fine) - 0.5) / scale
    alpha = np.clip(width_px / 2 + 0.5 - distance, 0, 1)
    alpha = alpha.reshape(inside.shape[0], scale, inside.shape[1], scale).mean((1, 3))
    ink = Image.new("RGB", picture.size, tuple(rgb))
    return Image.composite(ink, picture, Image.fromarray((alpha * 255).astype(np.uint8)))


def caliper(picture: Image.Image, start, end, rgb=(255, 255, 255)) -> Image.Image:
    """A measuring line with end ticks between two pixels, drawn four times finer and reduced."""
    scale = 4
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    if length < 2:
        return picture
    nx, ny = -(y1 - y0) / length * 4, (x1 - x0) / length * 4
    alpha = Image.new("L", (picture.width * scale, picture.height * scale), 0)
    pen = ImageDraw.Draw(alpha)

    def stroke(a, b):
        pen.line([tuple((v + 0.5) * scale for v in a), tuple((v + 0.5) * scale for v in b)], fill=230, width=scale)

    stroke(start, end)
    for x, y in (start, end):
        stroke((x - nx, y - ny), (x + nx, y + ny))
    return Image.composite(Image.new("RGB", picture.size, tuple(rgb)), picture, alpha.resize(picture.size, Image.BOX))


def shadowed(draw: ImageDraw.ImageDraw, at, text: str, size: float, fill=TEXT, anchor: str = "ls") -> None:
    """Text that stays readable on any grey."""
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        write(draw, (at[0] + dx, at[1] + dy), text, size, (0, 0, 0), anchor)
    write(draw, at, text, size, fill, anchor)


def scale_bar(draw: ImageDraw.ImageDraw, size_px: tuple[int, int], mm_per_px: float) -> None:
    """A bar of a round length in mm at the lower left of a picture."""
    length = max((mm for mm in (5, 10, 20, 50, 100) if mm / mm_per_px <= size_px[0] * 0.4), default=5)
    x, y, end = 12, size_px[1] - 14, 12 + length / mm_per_px
    draw.line([(x, y), (end, y)], fill=(0, 0, 0), width=4)
    draw.line([(x, y), (end, y)], fill=TEXT, width=2)
    for tick in (x, end):
        draw.line([(tick, y - 4), (tick, y + 4)], fill=TEXT, width=2)
    shadowed(draw, (x, y - 8), f"{length} mm", 14)


def letters(draw: ImageDraw.ImageDraw, size_px: tuple[int, int], names: tuple[str, str, str, str]) -> None:
    """Orientation letters at the left, right, top and bottom edge."""
    width, height = size_px
    left, right, top, bottom = names
    shadowed(draw, (6, height / 2), left, 15, MUTED, "lm")
    shadowed(draw, (width - 6, height / 2), right, 15, MUTED, "rm")
    shadowed(draw, (width / 2, 5), top, 15, MUTED, "mt")
    shadowed(draw, (width / 2, height - 5), bottom, 15, MUTED, "ms")
