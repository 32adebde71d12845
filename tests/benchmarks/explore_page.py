"""How large and how fast the page of `cnn explore` is, in headless Chromium.

    python tests/benchmarks/explore_page.py [--configs mnist_lenet5 cifar10_full …] [--repeats 15]

For each config, with initial weights and 30 noisy examples (neither matters for size and speed): bytes
of the page; milliseconds from opening it to the first drawn answer; the median and the slowest from a change of the
image, and of a weight of the first layer, to the drawn maps; and the longest time for which the page did not react.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

CONFIGS = ("mnist_lenet5", "cifar10_full", "cifar10_quick", "cifar10_small_alexnet")

CHANGES = """async ([repeats, edited]) => {
  const times = [];
  let longest = 0, last = performance.now();
  const look = () => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  };
  const beat = setInterval(look, 5);
  const former = receive;
  for (let i = 0; i < repeats; i++) {
    const begun = performance.now();
    const done = new Promise((heard) => { receive = (...all) => { former(...all); heard(); }; });
    if (edited) edit(0, [["kernel", 0, Math.random()]]);
    else { state.changes.brightness = 1 + i; update(); }
    await done;
    times.push(performance.now() - begun);
    await new Promise((go) => setTimeout(go, 20));
  }
  receive = former;
  clearInterval(beat);
  return { times, longest };
}"""


def page_of(name: str) -> str:
    """Return the page of a config with initial weights."""
    from cnncli.config.load import load
    from cnncli.engine.evaluation.trained import Trained
    from cnncli.engine.exporting.source import Source
    from cnncli.engine.exporting.web_page import page_text
    from cnncli.engine.exporting.web_program import Program
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build
    from cnncli.serving.description import Description

    config = load(name)
    model, size = build(config), config.data.image_size
    classes = tuple(map(str, range(model.output_shape[-1])))
    told: dict[str, Any] = dict.fromkeys(("config", "config_sha256", "data_content_hash", "data_split_hash", "run"), "")
    description = Description(
        **told,
        name=name,
        classes=classes,
        height=size[0],
        width=size[1],
        channels=config.data.channels,
        method="bilinear",
        fit="stretch",
        any_size=True,
        look={"mean": [0.1], "num_images": 1},
        usual_size=tuple(size),
        checkpoint="untrained",
        precision="float32",
        versions={},
    )
    source = Source(Trained(config, classes, model, Preprocessing(config.data), "untrained"), description)
    pixels = np.random.default_rng(0).integers(0, 256, (30, *size, config.data.channels), dtype=np.uint8)
    examples = [{"pixels": base64.b64encode(one.tobytes()).decode(), "truth": "0"} for one in pixels]
    return page_text(Program.of(source), source, description, {"examples": examples})


def measure(page: Any, file: Path, repeats: int) -> str:
    """Return a page's figures in a line."""
    opened = []
    for _ in range(3):
        page.goto("about:blank")
        page.goto(file.as_uri())
        page.wait_for_selector("#answer tr >> nth=9")
        opened.append(page.evaluate("performance.getEntriesByName('first-answer')[0].startTime"))
    lines = [f"{file.stat().st_size:,} bytes", f"first answer after {np.median(opened):.0f} ms"]
    for edited, what in ((False, "image"), (True, "weight")):
        found = page.evaluate(CHANGES, [repeats, edited])
        lines.append(
            f"{what} changed: median {np.median(found['times']):.0f} ms, slowest {max(found['times']):.0f} ms, "
            f"page busy for at most {found['longest']:.0f} ms"
        )
    return "; ".join(lines)


def main() -> None:
    """Print the figures of each config."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=CONFIGS)
    parser.add_argument("--repeats", type=int, default=15)
    chosen = parser.parse_args()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        page = started.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"]).new_page()
        for name in chosen.configs:
            file = Path(folder) / f"{name}.html"
            file.write_text(page_of(name), encoding="utf-8")
            print(f"{name}: {measure(page, file, chosen.repeats)}", flush=True)


if __name__ == "__main__":
    main()
