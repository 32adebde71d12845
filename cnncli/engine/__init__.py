"""TensorFlow and Keras: the only floor that names them."""
