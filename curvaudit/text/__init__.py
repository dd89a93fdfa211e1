"""Texts that must not break what they are written into: terminals, tables, UTF-8."""
