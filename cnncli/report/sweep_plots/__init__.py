"""Plots of a sweep, on a page and as files."""
