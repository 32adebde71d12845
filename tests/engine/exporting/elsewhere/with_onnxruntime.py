import json

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("digits_lenet.onnx")
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
image = np.asarray(Image.open("digit.png").convert("L"))[None, :, :, None]  # uint8, any size
(probabilities,) = session.run(None, {"images": image})
print(classes[probabilities[0].argmax()], probabilities[0].max())
