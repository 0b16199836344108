"""The networks that the thesis compares itself with (Table D), from MONAI and timm."""

from training.baselines.build import build
from training.baselines.config import BASELINES, BaselineConfig

__all__ = ["BASELINES", "BaselineConfig", "build"]
