"""Losses to source text, and source text to live modules."""
