"""A config walked layer by layer: rows and totals, findings, explanations in numbers, differences."""
