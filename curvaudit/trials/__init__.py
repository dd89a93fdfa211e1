"""Trials with planted label errors: plant them, find them, the baselines to compare with."""
