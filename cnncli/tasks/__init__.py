"""What a network is trained for: answers, metrics, figures and pages of one task, in NumPy."""
