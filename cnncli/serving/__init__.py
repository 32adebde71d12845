"""Exported networks opened and asked without TensorFlow."""
