"""The gate (`gating`), and what it accepts: the policy, where it is written, the baseline, and what was judged."""
