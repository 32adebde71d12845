"""Several processes that train one run: who they are, how they are started, how they end. Without TensorFlow."""
