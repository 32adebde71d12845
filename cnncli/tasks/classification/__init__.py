"""One class an image: metrics, predictions, figures and pages."""
