"""Seconds and peak memory of the lung mask on a CT of 512 x 512 x 300 voxels.

    python benchmarks/lung_mask.py CT [--slices 300] [--repeat 3] [--threads 2]

CT is anything that read_ct reads. Its slices are repeated or left out to reach the wanted number, with the slice
distance changed so that the chest keeps its length. Times are wall clock; best and median of the runs are shown.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import tracemalloc
from pathlib import Path


def main() -> None:
    """Read, resize, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(arguments.threads))

    import numpy as np

    from LungNoduleSegLib.ct import CT, lung_mask, lungs, read_ct

    start = time.perf_counter()
    source = read_ct(arguments.ct)
    read_seconds = time.perf_counter() - start
    chosen = np.rint(np.linspace(0, source.shape[0] - 1, arguments.slices)).astype(int)
    k_mm, j_mm, i_mm = source.spacing_mm
    spacing = (k_mm * source.shape[0] / arguments.slices, j_mm, i_mm)
    hu = source.hu[chosen]

    def fresh() -> CT:
        # The result is kept with its CT, so every run needs a CT of its own.
        return CT.from_array(hu, spacing_mm=spacing, copy=False)

    seconds = []
    for _ in range(arguments.repeat):
        ct = fresh()
        start = time.perf_counter()
        mask = lung_mask(ct)
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    lungs(ct)
    after = time.perf_counter() - start
    ct = fresh()
    tracemalloc.start()
    lung_mask(ct)
    peak = tracemalloc.get_traced_memory()[1] / 2**20

    litres = np.count_nonzero(mask) * ct.voxel_volume_mm3 / 1e6
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} logical cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"read_ct            {read_seconds:6.2f} s for {source.shape}")
    print(f"lung_mask          {min(seconds):6.2f} s best, {statistics.median(seconds):.2f} s median, for {ct.shape}")
    print(f"lungs afterwards   {after:6.2f} s")
    print(f"peak beyond the CT {peak:6.0f} MiB (the mask itself is {mask.nbytes / 2**20:.0f} MiB)")
    print(f"mask               {litres:6.2f} L, {mask.mean():.1%} of the CT")


if __name__ == "__main__":
    main()
