"""A look inside a trained network: activations, attributions, the pictures of `cnn show`."""
