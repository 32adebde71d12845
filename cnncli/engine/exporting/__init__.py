"""A run's network as something to give away, proven to answer as the run does."""
