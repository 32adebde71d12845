"""The columns of predictions-<split>.csv."""

EXAMPLE, TRUE, PREDICTED, PROBABILITY, MARGIN = "example", "true", "predicted", "probability", "margin"

COLUMNS = (EXAMPLE, TRUE, PREDICTED, PROBABILITY, MARGIN)
"""In their order; the margin is how far the next class's probability lies below."""
