"""Networks of others that search a whole CT in three-dimensional windows, timed on a few of them in a child process.

The weights are made up: only time and memory count. Read from nnU-Net's planner and MONAI's bundle; axes are (k, j, i).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from support import peak_memory, process_mb, stopwatch
from support.windows import windows


@dataclass(frozen=True)
class Other:
    """A network and how it is slid over a CT.

    Parameters
    ----------
    title
        As the table names it.
    modules, install
        What must be importable, and what brings it.
    spacing_mm, window, overlap
        Voxels it works on, and its windows.
    build
        Gives the network.
    maps
        Names of the outputs out of the network's dictionary, each a list of maps; empty where it gives one map.
    gaussian
        Windows are weighted by a Gaussian.
    """

    title: str
    modules: tuple[str, ...]
    install: str
    spacing_mm: tuple[float, float, float]
    window: tuple[int, int, int]
    overlap: float
    build: Callable[[], Any]
    maps: tuple[str, ...] = ()
    gaussian: bool = False

    @property
    def missing(self) -> str:
        """What to install; empty where nothing is missing."""
        return "" if all(map(find_spec, self.modules)) else f"pip install {self.install}"


def nnunet() -> Any:
    """nnU-Net's default network for "3d_fullres", as its planner makes it for chest CTs at 1.5 mm."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from torch import nn

    return PlainConvUNet(
        input_channels=1, n_stages=6, features_per_stage=(32, 64, 128, 256, 320, 320), conv_op=nn.Conv3d,
        kernel_sizes=3, strides=(1, 2, 2, 2, 2, 2), n_conv_per_stage=2, num_classes=2, n_conv_per_stage_decoder=2,
        conv_bias=True, norm_op=nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True}, deep_supervision=False,
    )  # fmt: skip


def retinanet() -> Any:
    """The network of MONAI's bundle "lung_nodule_ct_detection"; its stride of (2, 2, 1) is for (i, j, k)."""
    from training.metrics.torchvision_operators import declare_operators

    declare_operators()
    from monai.apps.detection.networks.retinanet_network import RetinaNet, resnet_fpn_feature_extractor
    from monai.networks.nets.resnet import resnet50

    backbone = resnet50(spatial_dims=3, n_input_channels=1, conv1_t_stride=[1, 2, 2], conv1_t_size=[7, 7, 7])
    features = resnet_fpn_feature_extractor(backbone, 3, False, [1, 2], None)
    return RetinaNet(
        spatial_dims=3, num_classes=1, num_anchors=3, feature_extractor=features, size_divisible=[8, 16, 16]
    )


OTHERS = {
    "nnunet": Other(
        title="nnU-Net 3d_fullres, 1.5 mm",
        modules=("dynamic_network_architectures",), install="--no-deps dynamic_network_architectures",
        spacing_mm=(1.5, 1.5, 1.5), window=(128, 128, 128), overlap=0.5, build=nnunet, gaussian=True,
    ),
    "retinanet": Other(
        title="MONAI RetinaNet detector",
        modules=("monai", "torchvision"), install="monai torchvision",
        spacing_mm=(1.25, 0.703125, 0.703125), window=(80, 192, 192), overlap=0.25, build=retinanet,
        maps=("classification", "box_regression"),
    ),
}  # fmt: skip


def resampled(ct: Any, other: Other) -> Any:
    """The CT at the network's spacing, float32 with mean 0 and deviation 1, no smaller than a window."""
    import numpy as np
    from scipy import ndimage

    image = ndimage.zoom(ct.hu.astype(np.float32), np.divide(ct.spacing_mm, other.spacing_mm), order=1)
    image -= image.mean()
    image /= image.std()
    return np.pad(image, [(0, max(size - n, 0)) for n, size in zip(image.shape, other.window)])


class Totals:
    """Sums of the overlapping windows of one map, and of their weights."""

    def __init__(self, channels: int, shape: tuple[int, ...], dtype: Any):
        import torch

        # Zeros that were never written take no memory, so they are written.
        self.values = torch.empty((channels, *shape), dtype=dtype).zero_()
        self.weights = torch.empty(shape, dtype=dtype).zero_()

    def add(self, at: tuple[int, ...], found: Any, weight: Any) -> None:
        box = tuple(slice(a, a + n) for a, n in zip(at, found.shape[1:]))
        inside = self.values[(slice(None), *box)]
        part = tuple(slice(0, n) for n in inside.shape[1:])
        inside += found[(slice(None), *part)] * weight[part]
        self.weights[box] += weight[part]


def _gaussian(window: tuple[int, ...]) -> Any:
    import torch

    weight = torch.ones(())
    for size in window:
        line = torch.exp(-0.5 * ((torch.arange(size) - size // 2) / (size / 8)) ** 2)
        weight = weight[..., None] * line
    return weight.clamp_min(1e-4).half()


def slid(job: dict[str, Any]) -> dict[str, Any]:
    """Time windows spread over the CT, each with its share of averaging; eager float32, one window at a time."""
    import numpy as np
    import torch

    from LungNoduleSegLib import read_ct

    other = OTHERS[job["other"]]
    ct = read_ct(Path(job["ct"]))
    network = other.build().eval().requires_grad_(False)
    seconds: list[float] = []
    with torch.inference_mode(), peak_memory() as memory:
        image = resampled(ct, other)
        places = windows(image.shape, other.window, other.overlap)
        chosen = np.linspace(0, len(places) - 1, job["patches"] + 1).round().astype(int)
        totals: list[Totals] = []
        weights: list[Any] = []
        for n in chosen:
            at = places[n]
            elapsed = stopwatch()
            box = tuple(slice(a, a + size) for a, size in zip(at, other.window))
            out = network(torch.from_numpy(np.ascontiguousarray(image[box]))[None, None])
            maps = [m[0] for name in other.maps for m in out[name]] if other.maps else [out[0]]
            for index, found in enumerate(maps):
                scale = np.divide(found.shape[1:], other.window)
                if len(totals) <= index:
                    weights.append(_gaussian(other.window) if other.gaussian else torch.ones(found.shape[1:]))
                    shape = tuple(int(n) for n in np.ceil(image.shape * scale))
                    totals.append(Totals(len(found), shape, weights[index].dtype))
                totals[index].add(tuple((at * scale).astype(int)), found, weights[index])
            seconds.append(elapsed())
            del out, maps, found
    timed = seconds[1:]  # the first one makes buffers and sums
    return {
        "window_s": sum(timed) / len(timed),
        "seconds_each": seconds,
        "windows": len(places),
        "image": list(image.shape),
        "parameters": sum(p.numel() for p in network.parameters()),
        "peak_mb": memory["peak_mb"],
        "process_mb": process_mb(),
    }
