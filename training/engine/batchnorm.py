"""Batch normalisation over the whole batch where its images lie on several processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _SumOverProcesses(torch.autograd.Function):
    """What is a sum over processes on the way forth is one on the way back."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        value = value.clone()
        torch.distributed.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _SumOverProcesses.forward(ctx, gradient.contiguous())


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with statistics over all processes, on any device (torch's own SyncBatchNorm needs a GPU).

    Same state as `torch.nn.BatchNorm2d`. In evaluation, or without other processes, it is that.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not torch.distributed.is_initialized():
            return super().forward(input)
        x = input.float()
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = _SumOverProcesses.apply(torch.cat([x.sum(dim=(0, 2, 3)), count]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        # Around the mean, not from the sum of squares: that would cancel.
        centred = x - mean[:, None, None]
        variance = _SumOverProcesses.apply(centred.square().sum(dim=(0, 2, 3))) / count
        if self.track_running_stats:
            self._follow(mean.detach(), variance.detach() * count / (count - 1))
        out = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        if self.affine:
            out = out * self.weight[:, None, None] + self.bias[:, None, None]
        return out.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def shared(network: nn.Module, device: torch.device) -> nn.Module:
    """The network with every `BatchNorm2d` replaced by one over all processes; parameters are kept, not copied."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _shared_norm(child))
    return network


def _shared_norm(norm: nn.BatchNorm2d) -> SharedBatchNorm2d:
    new = SharedBatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    new._parameters, new._buffers, new.training = norm._parameters, norm._buffers, norm.training
    return new
