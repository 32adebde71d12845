"""What `cnn check` finds: one module for each topic, each with a list of rules."""
