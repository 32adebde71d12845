"""One class an image: metrics, answers, figures and pages."""
