"""Training: the step loop, the trainer, what resumes and what records."""
