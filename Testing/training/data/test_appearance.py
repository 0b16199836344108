"""Softer and sharper images."""

from __future__ import annotations

import numpy as np

from Testing.training.data.test_cavities import ball
from training.data.appearance import resharpened


def test_softer_and_sharper():
    image, _ = ball(10, grain=0.0)
    contrasts = []
    for seed in range(20):
        out = resharpened(image, np.random.default_rng(seed))
        assert out.shape == image.shape
        assert out.dtype == np.float32
        assert np.allclose(out.mean(), image.mean(), atol=0.05)
        contrasts.append(float(np.abs(np.diff(out[1, 64])).max()))
    plain = float(np.abs(np.diff(image[1, 64])).max())
    assert min(contrasts) < 0.8 * plain
    assert max(contrasts) > 1.1 * plain
