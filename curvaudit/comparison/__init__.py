"""Comparison of two versions.

`comparing` is the use case, `matching` says which pictures are the same, `result` what comes of it.
"""
