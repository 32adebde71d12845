"""A config walked layer by layer: rows and totals, doubts, explanations in numbers, differences."""
