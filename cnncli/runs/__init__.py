"""The run directory: the only owner of its file names, its checkpoints, its lock, listing and comparing runs."""
