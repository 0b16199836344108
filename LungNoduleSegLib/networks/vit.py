"""The vision transformer at the bottleneck of model 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from LungNoduleSegLib.networks.config import VIT_MLP_RATIO, VIT_NORM_EPS


class TransformerBlock(nn.Module):
    """Pre-norm transformer block: attention and MLP, each with a residual path (Dosovitskiy et al., ICLR 2021).

    Tokens (n, t, d) -> (n, t, d). GELU, bias in qkv, MLP of ``4 * d``; layer norms with eps 1e-6 as in ViT.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: int = VIT_MLP_RATIO):
        super().__init__()
        if dim % heads:
            raise ValueError(f"Expected argument `dim` to be a multiple of `heads` ({heads}), got {dim}")
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim, eps=VIT_NORM_EPS)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=VIT_NORM_EPS)
        self.fc1 = nn.Linear(dim, mlp_ratio * dim)
        self.fc2 = nn.Linear(mlp_ratio * dim, dim)

    def _attend(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(n, t, d))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class BottleneckViT(nn.Module):
    """conv1x1, class token and learned positions, pre-norm blocks, layer norm, token dropped, conv1x1.

    (n, c, g, g) -> (n, c, g, g). Positions are learned for a ``grid`` x ``grid`` map; another map size is served by
    bicubic interpolation of them, as ViT does when it is fine-tuned at another resolution.
    """

    def __init__(self, channels: int, dim: int, depth: int, heads: int, grid: int):
        super().__init__()
        self.grid = grid
        self.embed = nn.Conv2d(channels, dim, 1)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.zeros(1, grid * grid + 1, dim))
        self.blocks = nn.ModuleList([TransformerBlock(dim, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=VIT_NORM_EPS)
        self.unembed = nn.Conv2d(dim, channels, 1)
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.trunc_normal_(self.class_token, std=0.02)

    def _positions_for(self, height: int, width: int) -> Tensor:
        if height == self.grid and width == self.grid:
            return self.positions
        grid = self.positions[:, 1:].transpose(1, 2).reshape(1, -1, self.grid, self.grid)
        grid = F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False)
        return torch.cat([self.positions[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        n, d, height, width = x.shape
        tokens = torch.cat([self.class_token.expand(n, -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
        tokens = tokens + self._positions_for(height, width)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)[:, 1:]
        return self.unembed(tokens.transpose(1, 2).reshape(n, d, height, width))
