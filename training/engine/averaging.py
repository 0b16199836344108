"""The weights of two runs averaged: what one learned last without giving up what the other knew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from LungNoduleSegLib.errors import InputError
from training.engine import checkpoint
from training.engine.config import RunConfig
from training.engine.restore import check_same_data


def averaged(folder: Path, other: Path, share: float) -> dict[str, Any]:
    """State of a run whose moving average is ``1 - share`` of its own and ``share`` of another run's.

    A network and one trained on from it lie in one valley of the loss; between them, what was learned last is kept
    nearly whole, and so is what was known before (WiSE-FT: Wortsman et al., CVPR 2022). Means and variances of batch
    normalisation are averaged like weights. The state goes on as the run itself would, from the averaged weights.

    Parameters
    ----------
    folder, other
        Folders of the runs. What is kept of where weights come from is that of ``folder``: the other should be a run
        that it started from.
    share
        Of the other run's weights, between 0 and 1, without either.

    Returns
    -------
    What `checkpoint.save` writes; weights float32 tensors by name.

    Raises
    ------
    InputError
        A run without checkpoint, of another network, normalisation or split, or that saw patients which this one left
        out; a share outside.
    """
    if not 0.0 < share < 1.0:
        raise InputError(f"the other run's share is {share}", remedy="Give a number between 0 and 1, such as 0.5.")
    state, second = checkpoint.load_run(folder / checkpoint.LAST), checkpoint.load_run(other / checkpoint.LAST)
    own, its = state["average"]["state"], second["average"]["state"]
    if state["config"]["network"] != second["config"]["network"]:
        raise InputError("these runs trained different networks", path=other, remedy="Average runs of one network.")
    check_same_data(second["config"], RunConfig.from_dict(state["config"]), other)
    for name, value in own.items():
        if value.is_floating_point():
            own[name] = torch.lerp(value, its[name], share)
    state["network"] = {name: value.clone() for name, value in own.items()}
    return state
