"""Segmentation: every pixel of an image is of one class."""
