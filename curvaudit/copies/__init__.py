"""Copies of pictures: content and perceptual hashes, signatures, and what agrees on pixels."""
