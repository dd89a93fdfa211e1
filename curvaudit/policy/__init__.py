"""What a gate accepts: the policy, where it is written, the baseline, and what was judged."""
