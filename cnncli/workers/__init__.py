"""Training on several workers: the processes, how they are started, and what they owe each other."""
