"""One HTML page with a network inside, for `cnn export --format web` and `cnn explore`."""
