"""One folder of pictures, written in every other format."""

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def listing(folder: Path) -> list[tuple[str, str]]:
    """(path relative to the folder, label) in the folder's order."""
    return [(path.relative_to(folder).as_posix(), path.parent.name) for path in sorted(folder.glob("*/*"))]


def write_csv(folder: Path) -> Path:
    path = folder.parent / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows([f"{folder.name}/{name}", label] for name, label in listing(folder))
    return path


def write_jsonl(folder: Path) -> Path:
    path = folder.parent / "manifest.jsonl"
    rows = [json.dumps({"file_name": f"{folder.name}/{name}", "label": label}) for name, label in listing(folder)]
    path.write_text("\n".join(rows) + "\n")
    return path


def write_npz(folder: Path) -> Path:
    path = folder.parent / "pictures.npz"
    names, labels = zip(*listing(folder), strict=True)
    pixels = np.stack([np.asarray(Image.open(folder / name)) for name in names])
    np.savez(path, images=pixels, labels=np.array(labels), ids=np.array(names))
    return path


def write_parquet(folder: Path, path: Path | None = None, rows: int = 16, label: str = "label") -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = path or folder.parent / "pictures.parquet"
    classes = sorted({name for _, name in listing(folder)})
    table = pa.table(
        {
            "image": [{"bytes": (folder / name).read_bytes(), "path": name} for name, _ in listing(folder)],
            label: [classes.index(name) for _, name in listing(folder)],
        }
    )
    features = {"image": {"_type": "Image"}, label: {"_type": "ClassLabel", "names": classes}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=rows, compression="none")
    return path


def write_tar(folder: Path, shards: int = 2) -> Path:
    rows = listing(folder)
    for number in range(shards):
        with tarfile.open(folder.parent / f"shard-{number:03d}.tar", "w") as archive:
            for name, label in rows[len(rows) * number // shards : len(rows) * (number + 1) // shards]:
                add(archive, name, (folder / name).read_bytes())
                add(archive, f"{name.rpartition('.')[0]}.cls", label.encode())
    return folder.parent / f"shard-{{000..{shards - 1:03d}}}.tar"


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
