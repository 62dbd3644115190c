"""Writes 600 pictures of three classes into folders: `python own_folder_images.py FOLDER`."""

import sys
from pathlib import Path

from PIL import Image

import alambic

source = alambic.load_source(alambic.DataSpec("fashion-mnist"))
counts: dict[str, int] = {}
for row in source.splits["test"].tolist():
    name = source.class_names[int(source.labels[row])]
    if name not in ("Shirt", "Sneaker", "Bag") or counts.get(name, 0) == 200:
        continue
    counts[name] = counts.get(name, 0) + 1
    folder = Path(sys.argv[1]) / name
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(source.images[row, 0].numpy()).save(folder / f"{row}.png")
print(counts)
