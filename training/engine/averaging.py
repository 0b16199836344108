"""The weights of runs averaged: what one learned last without giving up what the others knew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from LungNoduleSegLib.errors import InputError
from training.engine import checkpoint
from training.engine.config import RunConfig
from training.engine.restore import check_same_data


def averaged(folder: Path, others: Mapping[Path, float]) -> dict[str, Any]:
    """State of a run whose moving average is the weighted mean of its own and those of other runs.

    A network and those trained on from it lie in one valley of the loss; between them, what was learned last is kept
    nearly whole, and so is what was known before (WiSE-FT: Wortsman et al., CVPR 2022; several: model soups, Wortsman
    et al., ICML 2022). Means and variances of batch normalisation are averaged like weights. The state goes on as the
    run itself would, from the averaged weights.

    Parameters
    ----------
    folder
        Folder of the run that was trained last. What is kept of where weights come from is its own: the others should
        be runs that it started from.
    others
        Folder of each other run -> its share, above 0; the run itself has what is left of 1, which must be above 0.

    Returns
    -------
    What `checkpoint.save` writes; weights float32 tensors by name.

    Raises
    ------
    InputError
        A run without checkpoint, of another network, normalisation or split, or that saw patients which this one left
        out; shares outside.
    """
    if not others or min(others.values()) <= 0.0 or sum(others.values()) >= 1.0:
        shares = ", ".join(f"{share:g}" for share in others.values()) or "none"
        raise InputError(
            f"the shares of the other runs are {shares}", remedy="Give numbers above 0 whose sum is below 1, as 0.5."
        )
    state = checkpoint.load_run(folder / checkpoint.LAST)
    own = state["average"]["state"]
    mean = {name: (1 - sum(others.values())) * v for name, v in own.items() if v.is_floating_point()}
    for other, share in others.items():
        second = checkpoint.load_run(other / checkpoint.LAST)
        if state["config"]["network"] != second["config"]["network"]:
            raise InputError("these runs trained different networks", path=other, remedy="Average runs of one network.")
        check_same_data(second["config"], RunConfig.from_dict(state["config"]), other)
        for name in mean:
            mean[name] += share * second["average"]["state"][name]
    own.update(mean)
    state["network"] = {name: value.clone() for name, value in own.items()}
    return state
