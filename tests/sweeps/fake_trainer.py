"""A stand-in for `cnn train` and `cnn resume`, which needs no package: a run with a score from its config's values.

It writes what a run directory holds in the same order as training does, an epoch at a time, locks it, goes on from the
last epoch, stops after the epoch that it is told, and dies with whoever started it. `FAKE_SLOW` is a number of seconds
that each epoch takes. It stands in for `cnn bench --latency` as well.
"""

import fcntl
import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path
from threading import Thread


def main() -> None:
    """Do what the arguments say."""
    Thread(target=end_after, args=(int(os.environ["CNNCLI_LAUNCHER_FD"]),), daemon=True).start()
    command, target = sys.argv[1:3]
    if command == "bench":
        measure(Path(target), Path(sys.argv[sys.argv.index("--output") + 1]))
        return
    options = list(zip(sys.argv[3::2], sys.argv[4::2], strict=True))
    run = Path(target) if command == "resume" else begin(Path(target), options)
    with (run / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        train(run, dict(options).get("--stop-after"))


def end_after(pipe: int) -> None:
    """End this process when the other end of a pipe is closed, however that came."""
    while os.read(pipe, 1):
        pass
    os._exit(1)


def begin(config: Path, options: list[tuple[str, str]]) -> Path:
    """Make a run directory, all at once."""
    given = dict(options)
    sets = dict(value.split("=") for key, value in options if key == "--set")
    named = Path(given["--runs-dir"]) / given["--name"]
    record = {"name": given["--name"], "status": "running", "started": time.strftime("%Y-%m-%dT%H:%M:%S+00:00")}
    record["seed"] = int(sets.get("seed", 0))
    if "data.fold" in sets:
        record |= {"fold": int(sets["data.fold"]), "folds": int(sets["data.folds"])}
    made = named / f".new-{os.urandom(8).hex()}"
    made.mkdir()
    (made / ".lock").touch()
    (made / "config.yaml").write_text(config.read_text())
    (made / "run.json").write_text(json.dumps(record))
    target = named / f"20260101-000000-{os.urandom(4).hex()}"
    made.rename(target)
    return target


def train(run: Path, stop_after: str | None) -> None:
    """Write an epoch's line at a time, from where the file ends to the last epoch, or to that after which it stops."""
    record, metrics = json.loads((run / "run.json").read_text()), run / "metrics.jsonl"
    text = metrics.read_text() if metrics.exists() else ""
    done = text.count("\n")
    if not text.endswith("\n"):
        metrics.write_text("".join(line + "\n" for line in text.split("\n")[:-1]))
    values = re.sub(r"name: .*", "", (run / "config.yaml").read_text())
    epochs = int(re.findall(r"^  epochs: (\d+)$", values, re.MULTILINE)[0])
    last = min(epochs, int(stop_after or epochs))
    for epoch in range(done + 1, last + 1):
        if epoch == diverges_in(values, epochs):
            (run / "diverged-step-00000001").mkdir(exist_ok=True)
            put(run, {**record, "status": "failed"})
            sys.exit(1)
        time.sleep(float(os.environ.get("FAKE_SLOW", "0")))
        line = {"epoch": epoch, "step": epoch, "seconds": 1.0, "train": {}, "validation": {}}
        line["validation"] = {"loss": 1.0, "accuracy": score(values, record, epoch)}
        with metrics.open("a") as file:
            file.write(json.dumps(line) + "\n")
    scores = [json.loads(line)["validation"]["accuracy"] for line in metrics.read_text().splitlines()]
    best = {"epoch": 1 + scores.index(max(scores)), "monitor": "validation_accuracy", "value": max(scores)}
    put(run, {**record, "status": "done" if last == epochs else "interrupted", "epochs": last, "best": best})


def measure(config: Path, file: Path) -> None:
    """Write what `cnn bench --latency` does."""
    values = re.sub(r"name: .*", "", config.read_text())
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_text(json.dumps({"latency_ms": 1 + len(values) + score(values, {"seed": 0}, 0)}))
    temporary.replace(file)


def diverges_in(values: str, epochs: int) -> int | None:
    """Return the epoch in which training with these values fails, as about one in ten does."""
    first, second = hashlib.sha256(values.encode()).digest()[:2]
    return 1 + second % epochs if first < 25 else None


def score(values: str, record: dict, epoch: int) -> float:
    """Return a number from 0 to 1 that depends on all values, the seed, the fold and the epoch."""
    text = f"{values}{record['seed']}{record.get('fold')}{epoch}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


def put(run: Path, record: dict) -> None:
    """Write run.json in one step."""
    temporary = run / f".run.json.{os.urandom(8).hex()}.tmp"
    temporary.write_text(json.dumps(record))
    temporary.replace(run / "run.json")


if __name__ == "__main__":
    main()
