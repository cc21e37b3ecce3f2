"""Torture: real servers killed, starved, frozen and corrupted, and what was lost is counted.

Everything happens in a folder of its own; nobody's data is touched. `rigs.py` says what a rig is,
`running.py` runs them. A rig counts only when its control, a server or a client that is wrong on
purpose, was seen failing in the same run.
"""
