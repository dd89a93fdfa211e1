"""Paths as users write them, and files that are replaced whole or not at all."""
