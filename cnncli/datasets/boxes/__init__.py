"""Images with the boxes of their objects: Pascal VOC's, COCO's and YOLO's files, and what comes of them."""
