"""Most bytes that are read of each file of a run: many times what training writes, far less than memory."""

MB = 1_000_000

RECORD = 16 * MB
"""run.json and origins.json."""

DOCUMENT = 256 * MB
"""data.json, evaluation-<split>.json and invariance-<split>.json: a passport lists every file that cannot be read."""

METRICS = 256 * MB
"""metrics.jsonl: a line of 300 bytes an epoch."""

MANIFEST = 64 * MB
"""A checkpoint's manifest.json: 200 bytes an array."""

PREDICTIONS = 4_000 * MB
"""predictions-<split>.csv, which is read line by line: 100 bytes an example."""

ARRAYS = 256 * MB
"""proof.npz and a file of the replay."""
