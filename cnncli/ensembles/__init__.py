"""Several trained networks made one, which predicts the mean of their probabilities."""
