"""Compares two commits: `python -m bench --against REV` measures stages of both in turn on one machine.

`now` is the tree that the command runs in, with its uncommitted changes; `before` is REV in a temporary worktree. The
speed of a machine drifts, so single figures of different hours say little. Here both commits are measured within
minutes, twice each in a round, in an order in which a steady drift affects both alike; the ratio of a round is free of
it, and the spread of the ratios shows what remains.
"""
