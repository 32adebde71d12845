"""Masks: images whose values say the class of every pixel."""
