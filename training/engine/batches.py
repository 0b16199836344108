"""The next batch is ready when the network is: made in a thread, or in processes beside the training."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from training.data.crops import Crops
from training.data.sampling import Sampler

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class CropsOfRun(Crops):
    """Crops whose sides are those of one run, whoever asks: a sampler cannot mix two protocols."""

    protocol: str = "patient"
    leave_out: frozenset[str] = frozenset()

    def on_side(self, name: str, protocol: str = "") -> np.ndarray:
        """Indices of the crops on that side of this run's split; patients left out train nothing."""
        index = super().on_side(name, self.protocol)
        if name != "train" or not self.leave_out:
            return index
        return index[~np.isin(self.patients[index], sorted(self.leave_out))]


def crops_of_run(crops: Crops, protocol: str, leave_out: Iterable[str] = ()) -> CropsOfRun:
    """The same crops (arrays are shared), split by that protocol, without the patients that a run leaves out."""
    arrays = {name: getattr(crops, name) for name in Crops.__dataclass_fields__}
    return CropsOfRun(**arrays, protocol=protocol, leave_out=frozenset(leave_out))


def make(sampler: Sampler, step: int, numbers: range) -> Batch:
    """Images and labels of batch ``step``: only those ``numbers`` of it."""
    images, labels = sampler.batch(step)
    return (images, labels) if len(numbers) == len(images) else (images[list(numbers)], labels[list(numbers)])


class Prefetched:
    """Batches of a run, step after step, made ahead.

    Parameters
    ----------
    numbers
        Which images of each batch are made.
    end
        First step that is not made.
    workers
        Processes that make batches; 0, or where processes cannot be forked: one thread.
    pin
        Leave them in memory that a GPU reads directly.
    """

    def __init__(self, sampler: Sampler, numbers: range, end: int, *, workers: int = 0, pin: bool = False):
        self.sampler, self.numbers, self.end, self.pin = sampler, numbers, end, pin
        self.workers = workers if "fork" in multiprocessing.get_all_start_methods() else 0
        self._pool = ThreadPoolExecutor(1)
        self._next: tuple[int, Future[Batch]] | None = None
        self._made: Iterator[Batch] | None = None

    def __enter__(self) -> Prefetched:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()
        self._pool.shutdown(cancel_futures=True)

    def forget(self) -> None:
        """Throw away what was made ahead: the sampler has changed."""
        self._next = self._made = None

    def get(self, step: int) -> Batch:
        """Batch ``step``; after `forget` any, else the one after the last."""
        return self._from_workers(step) if self.workers else self._from_thread(step)

    def _from_thread(self, step: int) -> Batch:
        if self._next is None or self._next[0] != step:
            self._next = (step, self._pool.submit(make, self.sampler, step, self.numbers))
        batch = self._next[1].result()
        self._next = (step + 1, self._pool.submit(make, self.sampler, step + 1, self.numbers))
        return (batch[0].pin_memory(), batch[1].pin_memory()) if self.pin else batch

    def _from_workers(self, step: int) -> Batch:
        if self._made is None:
            # Forked, so that the crops and scans are shared and not copied.
            loader = DataLoader(
                _Steps(self.sampler, self.numbers), batch_size=None, sampler=range(step, max(self.end, step + 1)),
                num_workers=self.workers, prefetch_factor=4, multiprocessing_context="fork", pin_memory=self.pin,
            )  # fmt: skip
            self._made = iter(loader)
        images, labels = next(self._made)
        return images, labels


class _Steps(Dataset):
    def __init__(self, sampler: Sampler, numbers: range):
        self.sampler, self.numbers = sampler, numbers

    def __getitem__(self, step: int) -> Batch:
        return make(self.sampler, step, self.numbers)
