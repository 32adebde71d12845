docker run -p 8501:8501 -v "$PWD/digits_lenet_saved_model:/models/digits_lenet/1" -e MODEL_NAME=digits_lenet tensorflow/serving
curl http://localhost:8501/v1/models/digits_lenet:predict \
  -d '{"signature_name": "encoded", "instances": [{"b64": "'"$(base64 -w0 digit.png)"'"}]}'
