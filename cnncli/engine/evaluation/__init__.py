"""Trained networks answer: evaluation, prediction, test-time augmentation, invariance."""
