"""Detection: a box, a class and a score for every object of an image."""
