import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

network = Interpreter("digits_lenet.tflite")
classes = zipfile.ZipFile("digits_lenet.tflite").read("classes.txt").decode().splitlines()
(images,), (probabilities,) = network.get_input_details(), network.get_output_details()
height, width = images["shape"][1:3]
image = np.asarray(Image.open("digit.png").convert("L").resize((width, height)))[None, :, :, None]  # uint8
network.allocate_tensors()
network.set_tensor(images["index"], image)
network.invoke()
print(classes[network.get_tensor(probabilities["index"])[0].argmax()])
