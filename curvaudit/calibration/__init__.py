"""Calibration: plant label errors in a copy of the labels, scan it, and see what finds them.

`calibrating` is the use case, `trial` one scan with errors in it, `result` what comes of all. Of a trial, `planting`
makes the errors, `detection` says how well they were found, `confident` is the baseline, `record` keeps the figures.
"""
