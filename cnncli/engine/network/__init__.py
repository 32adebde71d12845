"""A `Config` → a Keras model: building, fitting it to data, taking over weights."""
