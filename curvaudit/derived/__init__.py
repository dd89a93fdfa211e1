"""What follows from a run file and is never stored: ranks, suggested labels, neighbours, how far seeds agree."""
