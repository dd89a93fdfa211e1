"""Which columns of a Hugging Face table hold picture and label, and what the labels are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CurvauditError
from ..records import Skipped
from ..text.utf8 import valid

_IMAGE_NAMES = ("image", "img", "picture", "jpg", "png")
_LABEL_NAMES = ("label", "labels", "class", "target", "cls")


@dataclass(frozen=True)
class Chosen:
    """The two columns, and the class names in order where the features carry them."""

    image: str
    label: str
    names: tuple[str, ...] | None


def choose(
    columns: Sequence[str],
    features: Mapping[str, Any],
    could_be_image: Sequence[str],
    image: str | None,
    label: str | None,
    shown: str,
    no_image: str = "Give a column of encoded pictures (bytes, or a struct with bytes and path)",
) -> Chosen:
    """The wanted columns, or else those of the features Image and ClassLabel, or of the usual names.

    Parameters
    ----------
    features:
        As Hugging Face writes them into its metadata: `{"img": {"_type": "Image"}, …}`; may be anything.
    could_be_image:
        The columns whose storage could hold pictures.
    no_image:
        What to do where none could.

    Raises
    ------
    CurvauditError
        No such column, none that qualifies, or several.
    """
    typed = [name for name in columns if _type(features, name) == "Image"]
    # A column of paths may well be called `image`: that it is there and does not count needs a reason.
    no_image = f"{no_image}, or name one with --image-column."
    image = _one(
        image, typed or list(could_be_image), _IMAGE_NAMES, "picture", "--image-column", columns, shown, no_image
    )
    classes = [name for name in columns if _type(features, name) == "ClassLabel"]
    usual = [name for name in columns if name.lower() in _LABEL_NAMES and name != image]
    no_label = "Name it with --label-column."
    label = _one(label, classes or usual, _LABEL_NAMES, "label", "--label-column", columns, shown, no_label)
    return Chosen(image, label, _names(features, label))


def unseen(features: Mapping[str, Any], chosen: Chosen) -> list[Skipped]:
    """The other columns of pictures, such as masks, so that nobody takes them for audited."""
    reason = "its pictures were not looked at: --image-column chooses"
    others = [name for name in features if name != chosen.image and _type(features, name) == "Image"]
    return [Skipped(f"column {valid(name)}", reason, "ignored") for name in others]


def identities(paths: Sequence[str | None]) -> list[str]:
    """Ids of N pictures: their paths where each has its own, otherwise the row numbers."""
    there = [path for path in paths if path]
    if len(set(there)) == len(paths):
        return [valid(path) for path in there]
    width = len(str(max(0, len(paths) - 1)))
    return [f"{row:0{width}d}" for row in range(len(paths))]


def _one(
    wanted: str | None,
    candidates: Sequence[str],
    usual: Sequence[str],
    what: str,
    option: str,
    columns: Sequence[str],
    shown: str,
    hint: str,
) -> str:
    if wanted is not None:
        if wanted not in columns:
            raise CurvauditError(f"{shown} has no column {wanted!r}.", f"It has {', '.join(columns)}.")
        return wanted
    best = next((name for known in usual for name in candidates if name.lower() == known), None)
    if best is not None:
        return best
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise CurvauditError(
            f"{shown} has several {what} columns: {', '.join(candidates)}.", f"Choose one with {option}."
        )
    raise CurvauditError(f"{shown} has no {what} column; it has {', '.join(columns)}.", hint)


def _type(features: Mapping[str, Any], name: str) -> str | None:
    feature = features.get(name)
    return feature.get("_type") if isinstance(feature, Mapping) else None


def _names(features: Mapping[str, Any], label: str) -> tuple[str, ...] | None:
    if _type(features, label) != "ClassLabel":
        return None
    names = features[label].get("names")
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        return None
    return tuple(str(name) for name in names)
