"""From a parsed document to a network: inheritance, overrides, references, blocks, and the errors of each."""
