"""Rows and numbers as tables, figures and pages: draws, never computes."""
