"""What a browser makes of the page: drawn and legible, where a browser is installed."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from galen.report.data import Run
from galen.report.page import write

WIDTH, HEIGHT = 1180, 1400


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs chromium")
    return found


def browse(chromium: str, page: Path, profile: Path, *flags: str) -> str:
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ]
    command += [f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_is_drawn(a_run: Callable[..., Run], chromium: str, tmp_path: Path) -> None:
    """The front's blue dots, the grey original and the cards are on the picture."""
    from PIL import Image

    page, picture = tmp_path / "report.html", tmp_path / "page.png"
    write([a_run()], page)
    browse(chromium, page, tmp_path / "profile", f"--screenshot={picture}")
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    blue = (abs(pixels - (0x2A, 0x6F, 0xD0)) < 12).all(axis=2)
    assert 800 < blue.sum() < 100_000
    columns = np.flatnonzero(blue[400:1000].any(axis=0))
    assert columns.max() - columns.min() > WIDTH / 3  # the front spans the chart


def test_runs_are_compared_in_colours_of_their_own(a_run: Callable[..., Run], chromium: str, tmp_path: Path) -> None:
    """Both fronts span the chart, blue and orange, and the table above names both agents."""
    from PIL import Image

    page, picture = tmp_path / "comparison.html", tmp_path / "page.png"
    write([a_run(), a_run("random", 1, "resnet20-random")], page)
    browse(chromium, page, tmp_path / "profile", f"--screenshot={picture}")
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    for colour in ((0x2A, 0x6F, 0xD0), (0xD9, 0x64, 0x0F)):
        drawn = (abs(pixels - colour) < 12).all(axis=2)
        columns = np.flatnonzero(drawn[300:1000].any(axis=0))
        assert columns.max() - columns.min() > WIDTH / 4
    text = browse(chromium, page, tmp_path / "profile", "--dump-dom")
    assert re.search(r"resnet20-joint.*<td>joint.*resnet20-random.*<td>random", text, re.DOTALL)


def test_hovering_shows_the_episode(a_run: Callable[..., Run], chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write([a_run()], page)
    hover = """<script>
      const mark = document.querySelector(".dot.front");
      const box = mark.getBoundingClientRect();
      mark.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: box.x, clientY: box.y}));
    </script></body>"""
    page.write_text(page.read_text().replace("</body>", hover))
    tip = re.search(r'<div id="tip"([^>]*)>([^<]*)</div>', browse(chromium, page, tmp_path / "profile", "--dump-dom"))
    assert tip is not None
    assert "hidden" not in tip[1]
    assert re.match(r"joint, episode \d+\nreward [\d.-]+\n", tip[2])
