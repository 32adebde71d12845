"""Exported networks opened and used without TensorFlow."""
