"""A run's network as something to give away, proven to predict what the run predicts."""
