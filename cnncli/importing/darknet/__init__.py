"""Darknet's cfg."""
