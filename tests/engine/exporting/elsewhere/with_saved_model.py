import tensorflow as tf

network = tf.saved_model.load("digits_lenet_saved_model")
classes = tf.io.read_file("digits_lenet_saved_model/assets/classes.txt").numpy().decode().splitlines()
outputs = network.signatures["encoded"](encoded=tf.constant([tf.io.read_file("digit.png").numpy()]))
print(classes[int(tf.argmax(outputs["probabilities"][0]))])
