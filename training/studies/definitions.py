"""The studies as data: which rows a table has, and which of them are one and the same run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.networks import NetworkConfig, ViTConfig, scaled
from training.baselines import BaselineConfig

MODEL_1 = NetworkConfig(scse=("encoder",), vit=ViTConfig())
MODEL_2 = NetworkConfig(scse=("encoder", "bottleneck"))
MANY_SEEDS, FEW_SEEDS = 4, 2


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    study, name
        The table, and the row's name in folders and in `training.studies.thesis`.
    title
        For people.
    network
        At full scale and 128 px, whatever the scale of the study.
    px
        Window of the row; None takes the scale's own.
    protocol
        Split of the row; None takes the one that was asked for.
    home
        Study and row whose runs these are; None when they are its own.
    seeds
        Runs at compact scale.
    """

    study: str
    name: str
    title: str
    network: NetworkConfig | BaselineConfig
    px: int | None = None
    protocol: str | None = None
    home: tuple[str, str] | None = None
    seeds: int = FEW_SEEDS

    def at(self, *, scale: str, width: int, px: int) -> NetworkConfig | BaselineConfig:
        """The row's network at a scale: ``width`` channels (ours, compact), windows of ``px``."""
        if isinstance(self.network, BaselineConfig):
            return replace(self.network, scale=scale, input_px=px)
        network = self.network if scale == "full" else scaled(self.network, width)
        return replace(network, input_px=px)


def _placements() -> tuple[Row, ...]:
    many = {"none", "encoder", "encoder+bottleneck"}
    places = ("none", "encoder", "decoder", "bottleneck", "encoder+bottleneck", "decoder+bottleneck",
              "encoder+decoder", "encoder+bottleneck+decoder")  # fmt: skip
    return tuple(
        Row(
            "A",
            name,
            f"scSE: {name.replace('+', ' + ')}",
            NetworkConfig(scse=() if name == "none" else tuple(name.split("+"))),
            seeds=MANY_SEEDS if name in many else FEW_SEEDS,
        )
        for name in places
    )


def _size(px: int) -> Row:
    return Row("C", f"{px}px", f"model 1, {px} px", MODEL_1, px=px)


_HOME_1, _HOME_2 = ("B", "model-1"), ("A", "encoder+bottleneck")


def _model_1(study: str, title: str = "model 1", home: tuple[str, str] | None = _HOME_1) -> Row:
    return Row(study, "model-1", title, MODEL_1, home=home, seeds=MANY_SEEDS)


def _model_2(study: str, title: str = "model 2") -> Row:
    return Row(study, "model-2", title, MODEL_2, home=_HOME_2, seeds=MANY_SEEDS)


STUDIES: dict[str, tuple[Row, ...]] = {
    "A": _placements(),
    "B": (
        Row("B", "encoder", "scSE: encoder, no ViT", NetworkConfig(scse=("encoder",)), home=("A", "encoder"),
            seeds=MANY_SEEDS),
        _model_1("B", "scSE: encoder, ViT (model 1)", home=None),
        _model_2("B", "scSE: encoder + bottleneck, no ViT (model 2)"),
    ),
    "C": tuple(_size(px) for px in (512, 256, 128, 64)),
    "D": (
        Row("D", "unet", "U-Net", BaselineConfig("unet")),
        Row("D", "attention-unet", "Attention U-Net", BaselineConfig("attention-unet")),
        Row("D", "transunet", "TransUNet (from scratch)", BaselineConfig("transunet")),
        _model_1("D"),
        _model_2("D"),
    ),
    "E": (
        _model_1("E"),
        _model_2("E"),
    ),
    "extra": (
        _model_2("extra"),
        Row("extra", "no-fusion", "model 2 without multi-scale fusion", replace(MODEL_2, fusion=False)),
        Row("extra", "no-shortcuts", "model 2 without residual shortcuts", replace(MODEL_2, shortcuts=False)),
    ),
    "leakage": tuple(
        Row("leakage", f"{name}@{protocol}", f"scSE: {name}, split by {protocol}", network, protocol=protocol,
            home=("A" if protocol == "patient" else "A-slice", name))
        for name, network in (("none", NetworkConfig()), ("encoder+bottleneck", MODEL_2))
        for protocol in ("patient", "slice")
    ),
}  # fmt: skip
"""Rows of each study. "extra" and "leakage" are ours: the thesis' title names fusion and residual units, and it never
leaves them out; and it never says that its split shares patients."""

REPLACED = {
    "no-fusion": "a plain 1x1 convolution from C to C/2 channels, batch norm and ReLU, then bilinear x2",
    "no-shortcuts": "the two 3x3 convolutions of each unit alone",
}
"""What stands in for the part that is left out."""


TITLES = {
    "A": "scSE placement",
    "B": "ViT at the bottleneck",
    "C": "crop size (model 1)",
    "D": "baselines",
    "E": "time, parameters and size",
    "extra": "without multi-scale fusion, without residual shortcuts",
    "leakage": "the same networks on the patient split and on the leaky slice split",
}

REFERENCE = {"A": "none", "B": "encoder", "C": "128px", "D": "model-2", "E": "model-2", "extra": "model-2"}
"""The row that the others of a study are compared with."""


NEEDS = "needs the full data set"
"""What a row says whose window is wider than the crops at hand."""


def needs(row: Row, *, crop_px: int) -> str | None:
    """Why a row cannot be run on crops of that width; None where it can."""
    return NEEDS if row.px is not None and row.px > crop_px else None


def rows(study: str) -> tuple[Row, ...]:
    """Rows of a study; InputError names the known ones."""
    if study not in STUDIES:
        raise InputError(f"no study {study!r}", remedy=f"Choose one of {', '.join(STUDIES)}.")
    return STUDIES[study]


def home(row: Row, *, px: int, protocol: str) -> tuple[str, str]:
    """Study and row under which the runs of this row lie.

    ``px`` is the window of the scale, ``protocol`` the split asked for. Model 1 at the scale's own window is one run,
    whichever of Tables B and C asks for it; runs on the slice split lie apart ("A-slice").
    """
    study, name = row.home or (row.study, row.name)
    if row.study == "C" and row.px == px:
        study, name = _HOME_1
    split = row.protocol or protocol
    return (f"{study}-slice" if split == "slice" and not study.endswith("-slice") else study), name
