"""Screenshots of elements, compared with those that are kept, by a measure that is stated.

The measure: the share of pixels of which a channel differs by more than 24 of 255, which another
engine's smoothing of edges does not reach in many. Texts are hidden, because fonts are the
machine's. Two screenshots are compared in the browser itself, which reads PNG.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from gpperf_lite._files import write_atomically

MOST_DIFFERENT = 0.002
"""Share of pixels that may differ."""

UPDATE = "GPPERF_UPDATE_SCREENSHOTS"
"""Set to 1, it has the kept screenshots written anew."""

_WITHOUT_TEXT = "text { visibility: hidden !important; }"

_DIFFERENT = """async ([one, other]) => {
    const pixels = [];
    for (const data of [one, other]) {
        const image = new Image();
        image.src = `data:image/png;base64,${data}`;
        await image.decode();
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        pixels.push(context.getImageData(0, 0, image.width, image.height));
    }
    const [{ data, width, height }, second] = pixels;
    if (width !== second.width || height !== second.height) return 1;
    let n = 0;
    for (let i = 0; i < data.length; i += 4)
        if ([i, i + 1, i + 2].some((at) => Math.abs(data[at] - second.data[at]) > 24)) n++;
    return n / (width * height);
}"""


def taken(tab: Any, selector: str) -> bytes:
    """Return a screenshot of an element without its texts, as PNG."""
    tab.add_style_tag(content=_WITHOUT_TEXT)
    data: bytes = tab.locator(selector).screenshot(animations="disabled")
    return data


def share_different(browser: Any, one: bytes, other: bytes) -> float:
    """Return the share of pixels that differ; 1.0 where the sizes do."""
    page = browser.new_page()
    try:
        texts = [base64.b64encode(data).decode() for data in (one, other)]
        share: float = page.evaluate(_DIFFERENT, texts)
    finally:
        page.close()
    return share


def kept(path: Path, now: bytes) -> bytes:
    """Return the screenshot that is kept; it is written first where that is asked for."""
    if os.environ.get(UPDATE) == "1":
        write_atomically(path, now)
    return path.read_bytes()
