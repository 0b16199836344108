"""False-positive reduction: a small 3D network that tells nodules from what else a search finds.

Convolutions of a few channels on stacks of 64 x 64 pixels (:mod:`LungNoduleSegLib.inference.stack`), computed with
numpy: it works with whichever engine computes the segmentation network, and gives the same everywhere. Such a second
stage is what systems for LUNA16 have (Setio et al., Medical Image Analysis 42 (2017) 1-13).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.inference.stack import SLICES, STACK_PX, candidate_stack

Triple = tuple[int, int, int]

WEIGHT, BIAS = "convolutions.{}.weight", "convolutions.{}.bias"
HEAD_WEIGHT, HEAD_BIAS = "head.weight", "head.bias"


@dataclass(frozen=True)
class ReductionConfig:
    """The network's layers: convolutions with ReLU; what the weights do not tell of them.

    Parameters
    ----------
    strides, paddings
        Of each convolution, (k, j, i).
    """

    strides: tuple[Triple, ...]
    paddings: tuple[Triple, ...]

    def __post_init__(self) -> None:
        for name, least in (("strides", 1), ("paddings", 0)):
            rows = tuple(tuple(row) for row in getattr(self, name))
            if any(len(row) != 3 or any(type(n) is not int or n < least for n in row) for row in rows):
                raise ValueError(f"Expected argument `{name}` to hold three numbers >= {least} a layer, got {rows}")
            object.__setattr__(self, name, rows)
        if not self.strides or len(self.strides) != len(self.paddings):
            raise ValueError("Expected arguments `strides` and `paddings` to be of the same layers, one at least")

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for a model card."""
        return {name: [list(row) for row in getattr(self, name)] for name in ("strides", "paddings")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ReductionConfig:
        """Inverse of :meth:`to_dict`; TypeError or ValueError for anything else."""
        return cls(**{name: tuple(tuple(row) for row in rows) for name, rows in data.items()})


class Reduction:
    """The network with its weights.

    Parameters
    ----------
    config
        Strides and paddings of its convolutions.
    weights
        float32 arrays by name: ``convolutions.N.weight`` (out, in, k, j, i) and ``.bias`` (out,), ``head.weight``
        (2 x out,) and ``head.bias`` (1,).

    Raises
    ------
    WeightsError
        For weights that are not those of the layers.
    """

    def __init__(self, config: ReductionConfig, weights: Mapping[str, NDArray[np.float32]]):
        self.config = config
        self._layers: list[tuple[NDArray, NDArray]] = []
        count, channels = len(config.strides), 1
        expected = {name.format(n) for n in range(count) for name in (WEIGHT, BIAS)} | {HEAD_WEIGHT, HEAD_BIAS}
        if set(weights) != expected:
            raise _unfit(f"it has {', '.join(sorted(set(weights) ^ expected)[:3])} too many or too few")
        for n in range(count):
            weight, bias = weights[WEIGHT.format(n)], weights[BIAS.format(n)]
            if weight.ndim != 5 or weight.shape[1] != channels or bias.shape != weight.shape[:1]:
                raise _unfit(f"layer {n} takes {channels} channels, and its arrays are {weight.shape} and {bias.shape}")
            self._layers.append((weight, bias))
            channels = len(weight)
        self._head, self._offset = weights[HEAD_WEIGHT], weights[HEAD_BIAS]
        if self._head.shape != (2 * channels,) or self._offset.shape != (1,):
            raise _unfit(f"its last layer takes {2 * channels} numbers, and its array is {self._head.shape}")

    def __call__(self, ct: CT, offset_kji: Triple, mask: NDArray[np.bool_]) -> float:
        """Logit that a candidate is a nodule, mean over eight views; arguments as `candidate_stack`."""
        return self.of_stack(candidate_stack(ct, offset_kji, mask))

    def of_stack(self, stack: NDArray[np.float32]) -> float:
        """The same of a stack (SLICES, STACK_PX, STACK_PX)."""
        if stack.shape != (SLICES, STACK_PX, STACK_PX):
            raise ValueError(
                f"Expected argument `stack` to have shape {(SLICES, STACK_PX, STACK_PX)}, got {stack.shape}"
            )
        return float(self.logits(views(stack)).mean())

    def logits(self, stacks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n,) float32 of normalised stacks (n, k, j, i) as they are."""
        x = stacks[:, None].astype(np.float32, copy=False)
        for (weight, bias), stride, padding in zip(self._layers, self.config.strides, self.config.paddings):
            x = np.maximum(_convolved(x, weight, stride, padding) + bias[:, None, None, None], 0)
        x = x.mean(axis=2)
        top, left = (size // 4 for size in x.shape[2:])
        inner = x[:, :, top : x.shape[2] - top, left : x.shape[3] - left]
        pooled = np.concatenate([x.mean(axis=(2, 3)), inner.mean(axis=(2, 3))], axis=1)
        return pooled @ self._head + self._offset


def views(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """A stack (k, n, n) seen in eight ways: as it is, mirrored both ways, transposed; each upside down too."""
    plane = [stack, stack[:, :, ::-1], stack[:, ::-1], stack.transpose(0, 2, 1)]
    return np.stack([*plane, *(view[::-1] for view in plane)])


def _convolved(x: NDArray, weight: NDArray, stride: Triple, padding: Triple) -> NDArray:
    """Cross-correlation of (n, c, k, j, i) with (out, c, k, j, i), as PyTorch's ``conv3d``."""
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    windows = sliding_window_view(x, weight.shape[2:], axis=(2, 3, 4))[:, :, :: stride[0], :: stride[1], :: stride[2]]
    size = windows.shape[2:5]
    columns = windows.transpose(1, 5, 6, 7, 0, 2, 3, 4).reshape(weight[0].size, -1)
    found = weight.reshape(len(weight), -1) @ columns
    return found.reshape(len(weight), len(x), *size).swapaxes(0, 1)


def _unfit(finding: str) -> WeightsError:
    return WeightsError(
        f"the weights of the false-positive reduction do not fit its description in the card: {finding}",
        remedy="Use a weight file together with the card that was written with it.",
    )


def reduction_of(description: Mapping[str, Any] | None, weights: Mapping[str, NDArray]) -> Reduction | None:
    """The network that a card describes, or None where it describes none. WeightsError where the two do not fit."""
    if description is None:
        return None
    try:
        config = ReductionConfig.from_dict(description)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"the card describes a false-positive reduction that this version does not know ({error})",
            remedy="Update the program, or choose another model.",
        ) from error
    found = Reduction(config, weights)
    try:
        found.logits(np.zeros((1, SLICES, STACK_PX, STACK_PX), np.float32))
    except ValueError as error:
        raise _unfit(f"a stack of {SLICES} x {STACK_PX} x {STACK_PX} is too small for it ({error})") from error
    return found
