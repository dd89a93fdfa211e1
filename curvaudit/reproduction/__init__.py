"""Reproduction of the paper: its tables and figures, one file each in `experiments`.

`reproducing` is the use case, `result` what comes of it, `plots` draws the figures.
"""
