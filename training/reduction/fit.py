"""Training the false-positive reduction on stacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.stack import SLICES, STACK_PX
from training.reduction.examples import BESIDE, FALSE, FOUND, MARGIN_PX, NODULE, Examples
from training.reduction.network import WIDTH, ReductionNetwork

SAY_EVERY = 250


@dataclass(frozen=True)
class FitConfig:
    """How the reduction is trained.

    Parameters
    ----------
    steps, batch_size
        Steps of the optimiser, and stacks in each.
    learning_rate
        Highest rate of a schedule that rises and falls once.
    from_scans
        Share of a batch that are candidates of complete scans; ``nodules_of_scans`` of these are nodules.
    nodule_targets
        Probability that the loss asks for where one, two, and three or more readers marked the nodule; where no nodule
        has so many, the last one for all. What is none is asked ``other_target``.
    hollow_share
        Of the nodules of crops, that many are there with a cavity too: cavitary ones are rare.
    seed
        Of everything that is drawn.
    """

    steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    from_scans: float = 0.4
    nodules_of_scans: float = 0.15
    nodule_targets: tuple[float, float, float] = (0.6, 0.8, 0.97)
    other_target: float = 0.03
    hollow_share: float = 0.3
    width: int = WIDTH
    seed: int = 0

    def counts(self) -> dict[str, int]:
        """Stacks of each kind in a batch."""
        scans = round(self.batch_size * self.from_scans)
        found = round(scans * self.nodules_of_scans)
        nodules = (self.batch_size - scans) // 2
        return {NODULE: nodules, BESIDE: self.batch_size - scans - nodules, FALSE: scans - found, FOUND: found}


def fit(examples: Examples, config: FitConfig, say: Callable[[str], None] = lambda line: None) -> ReductionNetwork:
    """A network trained on the examples, in evaluation mode.

    Raises
    ------
    InputError
        A kind of which there is no example.
    """
    pools = {kind: np.flatnonzero(examples.kinds == kind) for kind in config.counts()}
    for kind, pool in pools.items():
        if not len(pool):
            raise InputError(
                f"no example of the kind '{kind}' to train the false-positive reduction with",
                remedy="Prepare more crops, or more scans of patients that the runs left out.",
            )
    say(", ".join(f"{len(pool)} {kind}" for kind, pool in pools.items()))
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    network = ReductionNetwork(config.width)
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, config.steps, pct_start=0.15)
    wanted = torch.from_numpy(_targets(examples, config))
    losses: list[float] = []
    for step in range(1, config.steps + 1):
        index = np.concatenate([rng.choice(pools[kind], count) for kind, count in config.counts().items()])
        stacks = augmented(torch.from_numpy(examples.stacks[index]).float(), rng)
        loss = nn.functional.binary_cross_entropy_with_logits(network(stacks), wanted[index])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % SAY_EVERY == 0 or step == config.steps:
            say(f"step {step}: loss {np.mean(losses[-SAY_EVERY:]):.3f}")
    return network.eval()


def _targets(examples: Examples, config: FitConfig) -> np.ndarray:
    """float32 (n,): probability that the loss asks for."""
    most = len(config.nodule_targets)
    several = examples.readers.max() >= most
    readers = np.clip(examples.readers, 1, most) if several else np.full(len(examples), most)
    by_readers = np.array(config.nodule_targets, np.float32)[readers - 1]
    nodule = np.isin(examples.kinds, (NODULE, FOUND))
    return np.where(nodule, by_readers, np.float32(config.other_target)).astype(np.float32)


def augmented(stacks: Tensor, rng: np.random.Generator) -> Tensor:
    """Stacks (n, 5, 72, 72) as other scanners and readers might show them, (n, 5, 64, 64).

    Turned, mirrored, scaled, shifted, changed in contrast, sharpness and noise; some with slices repeated.
    """
    count = len(stacks)

    def uniform(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, count)).float()

    def some(share: float) -> Tensor:
        return torch.from_numpy(rng.random(count) < share)

    angle, scale = uniform(-np.pi, np.pi), torch.exp(uniform(-0.2, 0.2)) * STACK_PX / MARGIN_PX
    mirror = torch.where(some(0.5), 1.0, -1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = [uniform(-0.06, 0.06), uniform(-0.06, 0.06)]
    rows = [torch.stack([cos * mirror, -sin, shift[0]], 1), torch.stack([sin * mirror, cos, shift[1]], 1)]
    grid = nn.functional.affine_grid(torch.stack(rows, 1), (count, SLICES, STACK_PX, STACK_PX), align_corners=False)
    x = nn.functional.grid_sample(stacks, grid, padding_mode="border", align_corners=False)
    upside_down = some(0.5)
    x[upside_down] = x[upside_down].flip(1)
    x = x * uniform(0.8, 1.25)[:, None, None, None] + uniform(-0.08, 0.08)[:, None, None, None]
    soft = some(0.3)
    x[soft] = nn.functional.avg_pool2d(x[soft], 3, 1, 1, count_include_pad=False)
    noisy = some(0.3)
    x[noisy] += torch.from_numpy(rng.normal(0, 0.03, x[noisy].shape)).float()
    thick = some(0.2)
    x[thick] = x[thick][:, [1, 1, 2, 3, 3]]
    return x
