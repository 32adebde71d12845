"""Keras's files, read without Keras."""
