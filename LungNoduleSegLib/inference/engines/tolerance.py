"""How far another number format may move probabilities before it is refused."""

from __future__ import annotations

SHARE = 0.999
"""Of the pixels that must stay within a tolerance. The few left lie where the network is undecided: on tiles of two
real scans 1 in 10,000 differed by more in bfloat16, and masks cut at .5 had a Dice of .996 and more."""

BF16_TOLERANCE = 0.03
"""Difference of probabilities between bfloat16 and float32 that is accepted when a network is loaded."""

INT8_TOLERANCE = 0.1
"""The same of int8: a processor whose sums of such products overflow moves more than that."""

FLOAT32_TOLERANCE = 1e-3
"""The same between two ways to compute in float32: a GPU's convolutions keep about three digits (TF32)."""
