"""Normalisation by hand, and what it must not see: gain, offset, padding."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.normalise import METHODS, Normalisation, normalise

RNG = np.random.default_rng(0)


def lung(size: int = 64) -> np.ndarray:
    """HU (size, size): noisy lung with a block of soft tissue."""
    hu = RNG.normal(-850, 40, (size, size))
    hu[size // 3 : size // 2, size // 3 : size // 2] = 40
    return hu.round().astype(np.int16)


def eight_bits(hu: np.ndarray) -> np.ndarray:
    """The published crops' storage: minimum and maximum of HU to 0 and 255."""
    return np.round((hu - hu.min()) * (255 / (int(hu.max()) - int(hu.min())))).astype(np.uint8)


def padded(hu: np.ndarray, value: int, columns: int = 12) -> np.ndarray:
    hu = hu.copy()
    hu[:, :columns] = value
    return hu


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("percentile", [0.0, 0.0, 0.25, 0.5, 1.0]),
        ("minmax", [0.0, 0.0, 0.25, 0.5, 1.0]),
        # Of 10, 20, 30, 50: mean 27.5, variance (17.5^2 + 7.5^2 + 2.5^2 + 22.5^2) / 4 = 218.75.
        (
            "zscore",
            [-17.5 / 218.75**0.5, -17.5 / 218.75**0.5, -7.5 / 218.75**0.5, 2.5 / 218.75**0.5, 22.5 / 218.75**0.5],
        ),
    ],
)
def test_padding_is_left_out_by_hand(method, expected):
    how = Normalisation(method, low=0, high=100, min_range=1, padding_share=0.1)
    # The first pixel of five is padding: it becomes what the lowest of the others is (air), and measures nothing.
    found = normalise(np.array([[-3000, 10, 20, 30, 50]]), how)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_padding_of_any_value_gives_the_same_picture(method):
    hu = lung()
    how = Normalisation(method)
    as_scanned = normalise(padded(hu, -1024), how)
    for value in (-2000, -3024):
        np.testing.assert_allclose(normalise(padded(hu, value), how), as_scanned, atol=1e-5)
    stored = normalise(eight_bits(padded(hu, -3024)), how, min_range=1.0)
    inside = np.s_[:, 12:]
    spread = as_scanned[inside].max() - as_scanned[inside].min()
    # What is left is the rounding to 8 bits of a range of some 3,000 HU.
    assert np.abs(stored[inside] - as_scanned[inside]).max() < 0.03 * spread


@pytest.mark.parametrize("method", METHODS)
def test_gain_and_offset_change_nothing(method):
    hu = lung()
    how = Normalisation(method, min_range=1e-3)
    np.testing.assert_allclose(normalise(hu * 0.125 + 77.0, how), normalise(hu.astype(float), how), atol=2e-4)


@pytest.mark.parametrize("method", METHODS)
def test_without_the_option_padding_counts(method):
    hu = padded(lung(), -3024)
    on, off = (normalise(hu, Normalisation(method, padding_share=share))[:, 12:] for share in (0.005, 1.0))
    assert np.abs(on - off).max() > 0.2


def test_a_few_pixels_of_the_lowest_value_are_no_padding():
    hu = lung()
    hu[0, :5] = -1024
    how = Normalisation()
    np.testing.assert_array_equal(normalise(hu, how), normalise(hu, Normalisation(padding_share=1.0)))


@pytest.mark.parametrize("method", METHODS)
def test_nothing_but_padding_stays_finite(method):
    hu = np.full((2, 16, 16), -1024, np.int16)
    hu[1, 0, 0] = 400
    assert np.isfinite(normalise(hu, Normalisation(method))).all()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="padding_share"):
        Normalisation(padding_share=share)


def test_each_slice_of_a_batch_stands_for_itself():
    slices = np.stack([lung(), padded(lung(), -3024), padded(lung(), -2000, columns=30), lung() + 300])
    together = normalise(slices, Normalisation())
    for one, whole in zip(slices, together):
        np.testing.assert_array_equal(normalise(one, Normalisation()), whole)
