"""Sweeps: one experiment trained with many values of some of its keys."""
