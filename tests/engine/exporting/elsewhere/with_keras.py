import json
import zipfile

import keras
import numpy as np
from PIL import Image

model = keras.saving.load_model("digits_lenet.keras")
classes = json.loads(zipfile.ZipFile("digits_lenet.keras").read("cnncli.json"))["classes"]
image = np.asarray(Image.open("digit.png").convert("L"))[None, :, :, None]  # uint8, any size
print(classes[np.asarray(model(image))[0].argmax()])
