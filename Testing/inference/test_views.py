"""Views turn and turn back."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.views import PLAIN, VIEWS


@pytest.mark.parametrize("view", VIEWS)
def test_undo_is_the_inverse(view):
    tile = np.arange(3 * 6 * 6).reshape(3, 6, 6)
    np.testing.assert_array_equal(view.undo(view.apply(tile)), tile)
    np.testing.assert_array_equal(view.apply(view.undo(tile)), tile)


def test_the_eight_turns_of_the_square_are_all_there():
    tile = np.arange(9).reshape(3, 3)
    assert len({view.apply(tile).tobytes() for view in VIEWS}) == 8
    assert VIEWS[0] == PLAIN
    for view in VIEWS[1:]:
        assert 10 <= np.hypot(*view.shift) <= 16
