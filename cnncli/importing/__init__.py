"""Networks described elsewhere → configs: Keras archives, Caffe prototxt, Darknet cfg. Nothing in them is ever run."""
