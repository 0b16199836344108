"""Clicks in what is too large for the CT's own pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.click import segment_seed
from LungNoduleSegLib.inference.click_settings import ClickSettings
from LungNoduleSegLib.inference.masses import larger_pixels
from Testing.inference.phantom import OracleEngine, ball_mask, dice, on_grid, thorax


class ShortSighted(OracleEngine):
    """Blind for what is wider than 30 of its pixels, as networks are for what fills much of a tile."""

    widths = range(31)

    def predict(self, tiles, *, min_range=None):
        seen = super().predict(tiles)
        for plane in seen:
            labels, _ = ndimage.label(plane > 0.1)
            for n, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
                if max(rows.stop - rows.start, columns.stop - columns.start) not in self.widths:
                    plane[labels == n] = 0
        return seen


class Piecemeal(ShortSighted):
    """Of a mass it sees what has 49 HU, too."""

    def predict(self, tiles, *, min_range=None):
        seen = super().predict(tiles)
        seen[np.asarray(tiles)[:, 1] == 49] = 0.9
        return seen


OWN = ClickSettings(large_pixel_mm=0)


def segmented(ct, seed, settings=None, engine=None):
    """What one click gives, on the CT's grid."""
    mask = on_grid(ct, segment_seed(engine or ShortSighted(), ct, seed, settings))
    assert mask[seed]
    return mask


def test_a_mass_is_seen_at_larger_pixels():
    mass, nodule = (20, 110, 62, 15.0, 50), (20, 110, 158, 5.0, 50)
    ct, _ = thorax(balls=[mass, nodule])
    truth = ball_mask(ct, *mass[:4])
    assert segment_seed(ShortSighted(), ct, mass[:3], OWN).warning
    for seed in (mass[:3], (20, 100, 70), (22, 118, 60)):
        assert not segment_seed(ShortSighted(), ct, seed).warning
        assert dice(segmented(ct, seed), truth) > 0.9
    # A nodule is outlined at the CT's own pixels.
    np.testing.assert_array_equal(segmented(ct, nodule[:3]), segmented(ct, nodule[:3], OWN))


def test_where_pixels_are_as_large_there_is_no_other_look():
    ct, _ = thorax(balls=[(20, 110, 62, 15.0, 50)], spacing=(2.5, 1.1, 1.1))
    assert larger_pixels(OracleEngine(), ct, (20, 110, 62), ClickSettings(), None) is None


@pytest.mark.parametrize("k", range(20, 26))
def test_a_point_near_the_pole_of_a_mass_gives_the_mass(k):
    """There the CT's own pixels show as much as larger ones, and break off where it gets wide."""
    mass = (20, 110, 62, 14.0, 50)
    ct, _ = thorax(balls=[mass])
    truth = ball_mask(ct, *mass[:4])
    assert truth[k, 110, 62]
    assert dice(segmented(ct, (k, 110, 62), OWN), truth) < 0.5
    assert dice(segmented(ct, (k, 110, 62)), truth) > 0.9


@pytest.mark.parametrize(("change", "mass"), [({}, True), ({"large_mm": 32.0}, False), ({"large_gain": 20.0}, False)])
def test_only_what_is_large_and_shows_much_more_counts(change, mass):
    ball = (20, 110, 62, 15.0, 50)
    ct, _ = thorax(balls=[ball])
    hu = ct.hu.copy()
    hu[18:23, 105:116, 57:68] = 49
    ct = CT.from_array(hu, spacing_mm=ct.spacing_mm)
    found = segmented(ct, (20, 110, 62), ClickSettings(**change), Piecemeal())
    assert (dice(found, ball_mask(ct, *ball[:4])) > 0.9) == mass
    assert (found[20].sum() == 11 * 11) != mass


def test_a_nodule_beside_a_mass_stays_the_nodule():
    """Larger pixels do not see the nodule, but the mass within reach of the point."""
    mass, nodule = (20, 110, 50, 12.0, 50), (20, 110, 75, 3.5, 50)

    class Narrow(ShortSighted):
        widths = range(8, 33)

    ct, _ = thorax(balls=[mass, nodule])
    seed = (20, 110, 72)
    near = ClickSettings(reach_mm=8.0)
    own = segmented(ct, seed, replace(near, large_pixel_mm=0), Narrow())
    assert dice(own, ball_mask(ct, *nodule[:4])) > 0.6 and not (own & ball_mask(ct, *mass[:4])).any()
    assert larger_pixels(Narrow(), ct, seed, near, segment_seed(Narrow(), ct, seed, near).grown) is not None
    np.testing.assert_array_equal(segmented(ct, seed, near, Narrow()), own)


@pytest.mark.parametrize(("name", "value"), [("large_pixel_mm", -1), ("large_pixel_mm", 9), ("large_mm", 0)])
def test_sizes_of_the_larger_look_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        ClickSettings(**{name: value})


def test_the_gain_of_the_larger_look_is_checked():
    with pytest.raises(ValueError, match="gain"):
        ClickSettings(large_gain=0.5)
