"""cnncli: train, explain, compare and export convolutional networks described in YAML."""

__version__ = "0.1.0"
