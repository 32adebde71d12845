"""YAML text → a tree that knows the place of every value, and the problems that point there."""
