"""What `cnn check` finds: one module a subject, each a list of rules."""
