"""What `cnn explore` writes: a run's network as a page in which every number can be looked at."""
