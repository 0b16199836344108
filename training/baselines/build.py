"""From a configuration to a network with fresh weights."""

from __future__ import annotations

from torch import nn

from training.baselines.config import BaselineConfig

WIDTHS = {"full": (64, 128, 256, 512, 1024), "compact": (16, 32, 64, 128, 256)}


def build(config: BaselineConfig) -> nn.Module:
    """(n, input_slices, h, w) to (n, 1, h, w) logits, from scratch unless ``config.pretrained``."""
    if config.baseline == "transunet":
        from training.baselines.transunet import TransUNet

        return TransUNet(config)
    # Importing MONAI takes seconds.
    from monai.networks.nets import AttentionUnet, BasicUNet

    widths = WIDTHS[config.scale]
    common = {"spatial_dims": 2, "in_channels": config.input_slices, "out_channels": 1}
    if config.baseline == "unet":
        # The last figure is the width of the decoder's last level, as in Ronneberger's U-Net.
        return BasicUNet(**common, features=(*widths, widths[0]), act="relu", norm="batch")
    return AttentionUnet(**common, channels=widths, strides=(2, 2, 2, 2))
