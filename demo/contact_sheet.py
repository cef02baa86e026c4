"""One picture of many: each file a row, its pictures at even times from the first to the last."""

from __future__ import annotations

from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 5
THUMBNAIL = (256, 144)
CAPTION_HEIGHT = 22
MARGIN = 8


def write_contact_sheet(paths: list[Path], target: Path) -> Path:
    """Writes a PNG. Files without pictures are left out."""
    rows = [(path, row) for path in paths if (row := thumbnails(path))]
    width = COLUMNS * (THUMBNAIL[0] + MARGIN) + MARGIN
    row_height = THUMBNAIL[1] + CAPTION_HEIGHT + MARGIN
    sheet = Image.new("RGB", (width, max(1, len(rows)) * row_height + MARGIN), "#202124")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (path, row) in enumerate(rows):
        top = MARGIN + number * row_height
        draw.text((MARGIN, top), path.name, "white", font)
        for column, (seconds, picture) in enumerate(row):
            left = MARGIN + column * (THUMBNAIL[0] + MARGIN)
            sheet.paste(picture, (left, top + CAPTION_HEIGHT))
            draw.text((left + THUMBNAIL[0] - 6, top), f"{seconds:.2f} s", "#9aa0a6", font, anchor="ra")
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)
    return target


def thumbnails(path: Path) -> list[tuple[float, Image.Image]]:
    """(seconds, picture) at even times."""
    with av.open(str(path)) as container:
        if not container.streams.video:
            return []
        times = [float(frame.time or 0.0) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        wanted = {round(step * (len(times) - 1) / (COLUMNS - 1)) for step in range(COLUMNS)}
        return [
            (times[number], frame.to_image().resize(THUMBNAIL))
            for number, frame in enumerate(container.decode(video=0))
            if number in wanted
        ]
