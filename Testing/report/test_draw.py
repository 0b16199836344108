"""Drawing helpers, pixel for pixel where that can be said by hand."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from LungNoduleSegLib.mrml.segments import segment_color
from LungNoduleSegLib.report import draw


def test_lung_window():
    picture = np.asarray(draw.grey(np.array([[-1350.0, -1400, -600, 150, 900]])))
    assert picture[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert (picture[..., 0] == picture[..., 2]).all()


def test_colours_have_the_hue_of_the_scene_and_are_never_dark():
    for label in range(1, 40):
        ours, scene = np.array(draw.colour(label)) / 255, segment_color(label - 1)
        assert colorsys.rgb_to_hsv(*ours)[0] == pytest.approx(colorsys.rgb_to_hsv(*scene)[0], abs=0.01)
        assert ours @ draw.LUMINANCE > draw.LEAST_LUMINANCE - 0.01
    assert np.allclose(np.array(draw.colour(1)) / 255, segment_color(0), atol=0.003)  # amber is light enough as it is


@pytest.mark.parametrize(
    ("text", "spelt"),
    [("9 × 8 mm", "9 x 8 mm"), ("Übergröße", "Ubergrosse"), ("患者", "??"), ("±2 °", "±2 °"), ("a–b", "a-b")],
)
def test_spelling_with_the_signs_of_the_font(text, spelt):
    assert draw.spell(text) == spelt


def test_every_sign_that_spelling_keeps_has_a_glyph():
    blank = draw.font(20).getmask("\u0378").getbbox(), bytes(draw.font(20).getmask("\u0378"))
    for sign in "·°±…" + "".join(chr(code) for code in range(33, 127)):
        glyph = draw.font(20).getmask(sign)
        assert (glyph.getbbox(), bytes(glyph)) != blank, sign


def test_written_text_stays_within_its_width():
    picture = Image.new("RGB", (300, 60))
    width = draw.write(ImageDraw.Draw(picture), (20, 40), "12 mm³", 24)
    columns = np.flatnonzero(np.asarray(picture).max((0, 2)))
    assert columns.min() >= 19
    assert columns.max() <= 20 + width + 1
    picture = Image.new("RGB", (300, 60))
    draw.write(ImageDraw.Draw(picture), (280, 40), "12 mm³", 24, anchor="rs")
    assert np.flatnonzero(np.asarray(picture).max((0, 2))).max() <= 281


@pytest.mark.parametrize("keep", ["start", "end"])
def test_shortened_text_fits(keep):
    text = "/a/very/long/path/" * 20
    short = draw.shorten(text, 18, 300, keep=keep)
    assert draw.font(18).getlength(short) <= 300
    assert len(short) > 20
    assert (text.startswith(short[:-1])) if keep == "start" else text.endswith(short[1:])
    assert draw.shorten("short", 18, 300) == "short"


def test_wrapped_lines_fit_and_keep_every_word():
    text = "one two three four five six seven eight nine ten"
    lines = draw.wrap(text, 18, 120)
    assert len(lines) > 2
    assert all(draw.font(18).getlength(line) <= 120 for line in lines)
    assert " ".join(lines) == text


def test_outline_lies_on_the_border_only():
    inside = np.zeros((60, 60), np.float32)
    inside[20:40, 15:45] = 1
    picture = np.asarray(draw.outline(Image.new("RGB", (60, 60)), inside, (255, 0, 0), 2.0))[..., 0]
    on = picture > 127
    assert on[:, 30].nonzero()[0].tolist() == [19, 20, 39, 40]
    assert on[30].nonzero()[0].tolist() == [14, 15, 44, 45]
    assert not picture[25:35, 20:40].any()
    assert not picture[:17].any()


def test_outline_of_nothing_changes_nothing():
    picture = Image.new("RGB", (10, 10), (9, 9, 9))
    assert draw.outline(picture, np.full((10, 10), 0.4, np.float32), (255, 0, 0)) is picture


def test_caliper_reaches_from_end_to_end():
    picture = np.asarray(draw.caliper(Image.new("RGB", (60, 40)), (10, 20), (50, 20)))[..., 0]
    lit = picture[20] > 100
    assert lit[11:50].all()
    assert not lit[:9].any()
    assert not lit[52:].any()
    assert (picture[16:25, 10] > 60).all()  # the tick


@pytest.mark.parametrize(("mm_per_px", "length_mm"), [(0.1, 10), (0.2, 20), (0.5, 50), (0.05, 5)])
def test_scale_bar_has_the_length_that_it_names(mm_per_px, length_mm):
    picture = Image.new("RGB", (320, 320))
    draw.scale_bar(ImageDraw.Draw(picture), picture.size, mm_per_px)
    row = np.flatnonzero(np.asarray(picture)[306].max(-1) > 100)
    assert row.max() - row.min() == pytest.approx(length_mm / mm_per_px, abs=2)
