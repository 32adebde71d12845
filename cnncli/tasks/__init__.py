"""What a network is trained for: metrics, predictions, figures and pages of one task, in NumPy."""
