"""Names and shapes of the weights are known without building a network, and without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from LungNoduleSegLib.networks import MEMBERS, build, scaled, state_shapes

CONFIGS = {
    **{name: scaled(config, 4) for name, config in MEMBERS.items()},
    "plain": replace(scaled(MEMBERS["model-2"], 4), scse=(), fusion=False, shortcuts=False),
    "decoder": replace(scaled(MEMBERS["model-1"], 32), scse=("decoder",), input_slices=5, input_px=64),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_they_are_those_of_the_network(name: str):
    state = build(CONFIGS[name]).state_dict()
    assert state_shapes(CONFIGS[name]) == {name: tuple(tensor.shape) for name, tensor in state.items()}


def test_configurations_need_no_torch():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from LungNoduleSegLib.networks import MEMBERS, state_shapes; "
        "assert len(state_shapes(MEMBERS['model-1'])) > 100; assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-I", "-B", "-c", code, str(root)], check=True, timeout=120)
