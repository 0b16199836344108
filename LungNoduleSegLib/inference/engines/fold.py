"""The same network with less arithmetic: batch normalisation folded, linear branches merged. Arrays only, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.networks.config import FUSION_DILATIONS, NetworkConfig

if TYPE_CHECKING:
    from LungNoduleSegLib.networks import ResidualUNet
    from LungNoduleSegLib.networks.folded import FoldedResidualUNet

NORM_EPS = 1e-5
"""What a batch norm adds to the variance."""

_STATISTIC = ".running_mean"


def fold_state(config: NetworkConfig, state: Mapping[str, NDArray]) -> dict[str, NDArray[np.float32]]:
    """Weights of the folded network from those of the network.

    Every convolution takes in the batch normalisation behind it. Between the branches of a multi-scale fusion and the
    1x1 reduction behind them stands neither norm nor activation, so the reduction is multiplied into each branch:
    c -> c/2 channels a branch instead of c -> c and then 4c -> c/2, and the 1x1 branch becomes the middle tap of the
    first 3x3 one. The output is the same up to rounding; a fusion's work falls to 45 %. Measured on two kinds of CPU
    the compact members run 1.4 times as fast.

    Parameters
    ----------
    state
        Arrays by the names and shapes of :func:`~LungNoduleSegLib.networks.state_shapes`; not changed.

    Returns
    -------
    Arrays by the names of :class:`~LungNoduleSegLib.networks.folded.FoldedResidualUNet`: convolutions keep theirs, the
    branches of a fusion are ``ups.N.branches.0`` (with the bias), ``1``, ``2``, in the order of their dilation.
    """
    found = {name: np.asarray(array) for name, array in state.items()}
    # In float64: each merged weight becomes a sum over hundreds of products.
    for name in [name for name in found if name.endswith(_STATISTIC)]:
        sequence, _, number = name.removesuffix(_STATISTIC).rpartition(".")
        _fold_norm(found, f"{sequence}.{int(number) - 1}", f"{sequence}.{number}")
    for level in range(len(config.widths) - 1):
        if config.fusion:
            _merge(found, f"ups.{level}")
    return {name: np.ascontiguousarray(array, np.float32) for name, array in found.items()}


def _fold_norm(state: dict[str, NDArray], conv: str, norm: str) -> None:
    state.pop(f"{norm}.num_batches_tracked", None)
    weight, bias, mean, variance = (
        state.pop(f"{norm}.{part}").astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + NORM_EPS)
    state[f"{conv}.weight"] = state[f"{conv}.weight"] * scale[:, None, None, None]
    state[f"{conv}.bias"] = (state[f"{conv}.bias"] - mean) * scale + bias


def _merge(state: dict[str, NDArray], up: str) -> None:
    reduce = state.pop(f"{up}.reduce.0.weight")[:, :, 0, 0]
    bias = state.pop(f"{up}.reduce.0.bias")
    kernels = []
    for n, matrix in enumerate(np.split(reduce, 1 + len(FUSION_DILATIONS), axis=1)):
        bias = bias + matrix @ state.pop(f"{up}.branches.{n}.bias")
        kernels.append(np.tensordot(matrix, state.pop(f"{up}.branches.{n}.weight").astype(np.float64), axes=1))
    middle, *others = kernels
    others[0][:, :, 1:2, 1:2] += middle
    state[f"{up}.branches.0.bias"] = bias
    state.update({f"{up}.branches.{n}.weight": kernel for n, kernel in enumerate(others)})


def folded_network(config: NetworkConfig, state: Mapping[str, NDArray]) -> FoldedResidualUNet:
    """The folded network of torch, in evaluation mode; arguments as for `fold_state`."""
    import torch

    from LungNoduleSegLib.networks.folded import FoldedResidualUNet

    with torch.device("meta"):  # no memory and no initialisation: every weight is replaced
        network = FoldedResidualUNet(config)
    weights = {name: torch.from_numpy(array) for name, array in fold_state(config, state).items()}
    network.load_state_dict(weights, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def folded(network: ResidualUNet) -> FoldedResidualUNet:
    """A copy in evaluation mode that gives the same output with fewer operations; the network is not changed."""
    state = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    return folded_network(network.config, state)
