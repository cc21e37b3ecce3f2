"""Measurements: every figure of Talekeeper's against its reference, turn by turn in the same run.

    python -m benchmarks [--only G1,G3] [--quick]

A figure on its own says little: the machine is busy, the disk is a guess. So each is measured in
turn with what it is compared to (a flush of 4 KiB, an empty server on the same HTTP stack, a relay
in C), and the ratio of the two medians is what has a gate.
"""
