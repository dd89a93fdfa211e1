"""Every rule: a case that must be found and a case that must not."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from curvaudit import findings
from curvaudit.copies import hashing, matching
from curvaudit.derived import caveats, suggestion
from curvaudit.derived.memorization import memorizable
from curvaudit.findings.interface import Evidence
from curvaudit.pictures import images, portraits
from curvaudit.records import Samples, Skipped, TrainingCurves, TrainingInfo
from curvaudit.rules import RULES


def photo(seed: int, size: int = 64) -> Image.Image:
    """Smooth and textured, as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def training(epochs: int = 3, finished: bool = True) -> TrainingInfo:
    curve = np.arange(1.0, epochs + 1)
    return TrainingInfo(0, 0.0, 0, {}, finished, True, TrainingCurves(np.arange(1, epochs + 1), *[curve] * 6), {})


def evidence(pictures, labels, *, correct=None, suggested=None, score=None, skipped=(), **more) -> Evidence:
    """As a report would make it from these pictures."""
    count = len(pictures)
    classes = more.pop("classes", tuple("abcdefgh"[: max(labels, default=0) + 1]))
    looks = portraits.finished([portraits.sketch(image, every_thumbnail=False) for image in pictures])
    samples = Samples(
        ids=tuple(f"{classes[label]}/{row}.png" for row, label in enumerate(labels)),
        labels=np.array(labels, np.int32),
        classes=classes,
        content_hash=np.array([look.content for look in looks], np.uint64),
        phash=np.array([look.perceptual for look in looks], np.uint64),
        width=np.array([look.width for look in looks], np.uint16),
        height=np.array([look.height for look in looks], np.uint16),
        contrast=np.array([look.contrast for look in looks], np.float32),
    )
    score = np.arange(count, 0, -1.0) if score is None else np.asarray(score, float)
    order = np.argsort(-score, kind="stable")
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(1, count + 1)
    kept = {row: images.thumbnail(image) for row, image in enumerate(pictures)}
    missing = more.pop("missing", ())
    return Evidence(
        samples=samples,
        skipped=skipped,
        order=order,
        rank=rank,
        score=score,
        scores=more.pop("scores", {"curvature": score}),
        suggested=np.full(count, -1, np.int32) if suggested is None else np.array(suggested, np.int32),
        final_correct=np.ones(count, bool) if correct is None else np.array(correct, bool),
        memorizable=memorizable(samples),
        thumbnails=lambda rows: {row: kept[row] for row in rows if row not in missing},
        training=more.pop("training", training()),
    )


def found(what: Evidence, *rules: str) -> list[tuple[str, set[int]]]:
    return [
        (finding.rule.id, {sample.index for sample in finding.samples})
        for finding in findings.find_all(what)
        if finding.rule.id in rules
    ]


COPIES = ("CA101", "CA102", "CA111", "CA112")


# --- copies --------------------------------------------------------------------------


def test_ca101_and_ca111_exact_copies():
    one, two, other = photo(1), photo(2), photo(3)
    what = evidence([one, two, one, other, two, two], [0, 1, 1, 0, 1, 1])
    assert found(what, *COPIES) == [("CA101", {0, 2}), ("CA111", {1, 4, 5})]
    conflict = findings.find_all(what)[0]
    assert "a and b" in conflict.message
    assert [(s.label, s.rank) for s in conflict.samples] == [("a", 1), ("b", 3)]
    assert conflict.evidence == {"kind": "exact", "hash_distance": 0, "pixel_distance": 0.0}


def test_clean_pictures_are_no_copies():
    what = evidence([photo(seed) for seed in range(40)], [seed % 2 for seed in range(40)])
    assert found(what, *COPIES) == []
    assert what.near.unverified == 0


def jpeg(image: Image.Image, quality: int = 70) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


ALTERED = {
    "slightly changed": jpeg,
    "resized": lambda image: image.resize((32, 32), Image.Resampling.LANCZOS),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
}


@pytest.mark.parametrize("how", ALTERED)
@pytest.mark.parametrize(("label", "rule"), [(1, "CA102"), (0, "CA112")])
def test_ca102_and_ca112_near_copies(how, label, rule):
    copy = ALTERED[how](photo(1))
    what = evidence([photo(1), photo(2), copy, photo(3)], [0, 0, label, 1])
    assert found(what, *COPIES) == [(rule, {0, 2})]
    (finding,) = (f for f in findings.find_all(what) if f.rule.id == rule)
    assert finding.evidence["kind"] == ("brightness" if how == "contrast" else how)
    assert 0 <= finding.evidence["hash_distance"] <= matching.NEAR_RADIUS
    assert 0 < finding.evidence["pixel_distance"] <= matching.LARGEST_DISTANCE


def test_alike_by_hash_alone_is_no_copy():
    """Candidates are verified on pixels: the same coarse shape with other details is another picture."""
    random = np.random.default_rng(0)
    shape = np.asarray(photo(1), float)
    noise = [random.normal(0, 45, shape.shape) for _ in range(2)]
    pictures = [Image.fromarray(np.clip(0.6 * shape + 50 + n, 0, 255).astype(np.uint8)) for n in noise]
    what = evidence(pictures, [0, 1])
    bits = hashing.distance(what.samples.phash[0], what.samples.phash[1])
    assert 0 < bits <= matching.NEAR_RADIUS
    assert found(what, *COPIES) == []


def test_candidates_whose_pictures_are_not_kept_are_counted_not_dropped():
    what = evidence([photo(1), jpeg(photo(1)), photo(2)], [0, 1, 1], missing=(1,))
    assert found(what, *COPIES) == []
    assert what.near.unverified == 1


def test_flat_pictures_are_not_copies_of_each_other():
    flat = Image.new("RGB", (32, 32), (200, 0, 0))
    other = Image.new("RGB", (32, 32), (0, 90, 0))
    assert found(evidence([flat, flat, other, photo(1)], [0, 1, 1, 0]), *COPIES) == []


def test_tiny_pictures_are_compared_exactly_only():
    tiny = photo(1, 8)
    changed = tiny.copy()
    changed.putpixel((0, 0), (1, 2, 3))
    assert found(evidence([tiny, changed, tiny], [0, 1, 1]), *COPIES) == [("CA101", {0, 2})]


def test_near_copies_of_exact_copies_name_both_labels():
    one = photo(1)
    what = evidence([one, one, jpeg(one), photo(2)], [0, 1, 0, 1])
    assert found(what, *COPIES) == [("CA101", {0, 1}), ("CA102", {0, 1, 2})]


def test_a_stretched_copy_is_a_near_copy():
    wide = photo(1).resize((128, 64))
    assert found(evidence([photo(1), wide, photo(2).resize((128, 64))], [0, 1, 0]), *COPIES) == [("CA102", {0, 1})]


# --- memorization --------------------------------------------------------------------

PLAIN = [photo(seed) for seed in range(200)]
LABELS = [row % 2 for row in range(200)]


def test_ca201_needs_a_better_label():
    suggested = [-1] * 200
    suggested[7] = 0
    what = evidence(PLAIN, LABELS, suggested=suggested)
    assert found(what, "CA201") == [("CA201", {7})]
    (finding,) = (f for f in findings.find_all(what) if f.rule.id == "CA201")
    assert finding.evidence == {"suggested_label": "a"}
    assert "labelled b" in finding.message and "saw a" in finding.message


def test_ca201_names_the_most_resisted_first():
    suggested = [-1] * 200
    for row in (7, 50, 120):
        suggested[row] = 0
    resistance = np.where(np.arange(200) == 50, 0.9, 0.5)
    what = evidence(PLAIN, LABELS, suggested=suggested, scores={"consensus": resistance})
    assert found(what, "CA201") == [("CA201", {50}), ("CA201", {7}), ("CA201", {120})]
    # A run that has no such score: as the report ranks.
    assert found(evidence(PLAIN, LABELS, suggested=suggested), "CA201") == [("CA201", {row}) for row in (7, 50, 120)]


def test_without_consensus_they_come_by_rank_whichever_end_of_a_score_is_suspicious():
    suggested = [-1] * 200
    for row in (7, 50):
        suggested[row] = 0
    margins = np.arange(200.0)  # low is suspicious
    what = evidence(PLAIN, LABELS, suggested=suggested, score=margins, scores={"margin": margins})
    what = replace(what, order=np.arange(200), rank=np.arange(1, 201))
    assert found(what, "CA201") == [("CA201", {7}), ("CA201", {50})]


def test_ca202_is_for_the_highest_that_nothing_else_explains():
    """Rows 0 and 1 are the top 1 % of 200."""
    assert found(evidence(PLAIN, LABELS), "CA202") == [("CA202", {0}), ("CA202", {1})]
    suggested = [-1] * 200
    suggested[0] = 1
    assert found(evidence(PLAIN, LABELS, suggested=suggested), "CA202") == [("CA202", {1}), ("CA202", {2})]
    correct = [True] * 200
    correct[1] = False
    assert found(evidence(PLAIN, LABELS, correct=correct), "CA202") == [("CA202", {0}), ("CA202", {2})]
    conflicting = [PLAIN[1], *PLAIN[1:]]
    assert found(evidence(conflicting, LABELS), "CA202") == [("CA202", {2}), ("CA202", {3})]
    unmeasured = np.full(200, np.nan)
    assert found(evidence(PLAIN, LABELS, score=unmeasured), "CA202") == []


def test_ca202_goes_by_resistance_whatever_the_report_ranks_by():
    """Row 199 resisted most and has the lowest curvature; equal ones come in the order of the report."""
    resistance = np.where(np.arange(200) == 199, 0.9, 0.5)
    what = evidence(PLAIN, LABELS, scores={"curvature": np.arange(200, 0, -1.0), "consensus": resistance})
    assert found(what, "CA202") == [("CA202", {199}), ("CA202", {0})]  # the most resisted first


def test_ca203_is_for_what_could_have_been_memorized():
    pictures, labels = [photo(1), photo(1), photo(2), photo(3)], [0, 1, 0, 1]
    what = evidence(pictures, labels, correct=[False, False, False, True])
    assert found(what, "CA203") == [("CA203", {2})]  # 0 and 1 are the same picture under two labels
    assert found(evidence(pictures, labels), "CA203") == []


def test_ca203_waits_for_the_end_of_training():
    interrupted = training(finished=False)
    assert found(evidence(PLAIN, LABELS, correct=[False] * 200, training=interrupted), "CA203") == []


# --- files and classes ---------------------------------------------------------------


def test_ca301_names_each_unreadable_file_and_no_clutter():
    skipped = (
        Skipped("a/x.jpg", "empty file (0 bytes)"),
        Skipped("Thumbs.db", "Windows thumbnail cache", "ignored"),
        Skipped("b/y.jpg", "cut short"),
    )
    what = evidence(PLAIN[:4], LABELS[:4], skipped=skipped)
    named = [f for f in findings.find_all(what) if f.rule.id == "CA301"]
    assert {(f.samples[0].id, f.evidence["reason"]) for f in named} == {
        ("a/x.jpg", "empty file (0 bytes)"),
        ("b/y.jpg", "cut short"),
    }
    assert all(f.samples[0].index is None and f.samples[0].rank is None for f in named)
    assert found(evidence(PLAIN[:4], LABELS[:4]), "CA301") == []


def test_ca302_flat_and_thin_pictures():
    pictures = [
        Image.new("RGB", (32, 32), "white"),
        Image.new("RGB", (1, 1), "red"),
        photo(1).resize((300, 1)),
        photo(1).resize((400, 20)),
        photo(2),
    ]
    assert found(evidence(pictures, [0, 1, 0, 1, 0]), "CA302") == [("CA302", {row}) for row in (0, 1, 2)]


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ((20, 20, 20), []),
        ((20, 20, 0), ["c"]),
        ((20, 20, 9), ["c"]),
        ((20, 20, 10), []),
        ((300, 300, 12), ["c"]),
        ((300, 300, 15), []),
    ],
)
def test_ca501_small_and_unbalanced_classes(counts, named):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    what = evidence([PLAIN[0]] * len(labels), labels, classes=("a", "b", "c"))
    different = replace(what.samples, content_hash=np.arange(len(labels), dtype=np.uint64))
    what = replace(what, samples=different)
    assert [f.evidence["class"] for f in findings.find_all(what) if f.rule.id == "CA501"] == named


def test_a_class_of_copies_is_as_small_as_what_they_are_copies_of():
    labels = [0] * 40 + [1] * 20
    what = evidence([photo(1)] * 40 + [photo(seed) for seed in range(2, 22)], labels)
    size, copies = (next(f for f in findings.find_all(what) if f.rule.id == rule) for rule in ("CA501", "CA111"))
    assert size.message == "Class a holds 40 pictures, but only 1 different one, of at least 10."
    assert size.evidence == {"class": "a", "count": 40, "different": 1}
    assert copies.message == "The same picture stands 40 times under a, the whole class."


@pytest.mark.parametrize(
    ("times", "told"), [(5, "5 times under a, 5 of the 50 pictures of the class."), (4, "4 times under a.")]
)
def test_copies_that_are_much_of_a_class_are_told_as_that(times, told):
    pictures = [photo(0)] * times + [photo(seed) for seed in range(1, 61 - times)]
    (copies,) = (f for f in findings.find_all(evidence(pictures, [0] * 50 + [1] * 10)) if f.rule.id == "CA111")
    assert copies.message.endswith(told)


# --- all of them ---------------------------------------------------------------------


def test_findings_stand_by_rule_and_then_by_rank():
    suggested = [-1] * 200
    for row in (150, 3, 77):
        suggested[row] = 1 - LABELS[row]
    rules = [finding.rule.id for finding in findings.find_all(evidence(PLAIN, LABELS, suggested=suggested))]
    assert rules == sorted(rules)
    assert [rows for _, rows in found(evidence(PLAIN, LABELS, suggested=suggested), "CA201")] == [{3}, {77}, {150}]


def test_fingerprints_survive_renames_and_reordering():
    pictures, labels = [photo(1), photo(1), photo(2), photo(2), photo(3)], [0, 1, 0, 0, 1]

    def fingerprints(order):
        what = evidence([pictures[i] for i in order], [labels[i] for i in order], score=np.arange(5.0)[list(order)])
        return {finding.fingerprint for finding in findings.find_all(what) if finding.rule.id in COPIES}

    assert fingerprints(range(5)) == fingerprints([4, 2, 0, 3, 1])
    assert len(fingerprints(range(5))) == 2
    relabelled = evidence(pictures, [0, 1, 1, 1, 1])
    assert fingerprints(range(5)) != {f.fingerprint for f in findings.find_all(relabelled) if f.rule.id in COPIES}


def test_the_rules_are_those_that_were_promised():
    promised = {
        "CA101": ("conflicting-duplicates", "error"),
        "CA102": ("conflicting-near-duplicates", "error"),
        "CA111": ("duplicates", "note"),
        "CA112": ("near-duplicates", "note"),
        "CA201": ("likely-mislabelled", "warning"),
        "CA202": ("atypical", "note"),
        "CA203": ("not-memorized", "warning"),
        "CA301": ("unreadable", "error"),
        "CA302": ("degenerate", "warning"),
        "CA401": ("split-leak", "error"),
        "CA501": ("class-size", "warning"),
    }
    assert {id: (rule.name, rule.severity) for id, rule in RULES.items()} == promised


def test_classes_whose_names_differ_only_in_case_or_blanks_are_told():
    pictures = [photo(seed) for seed in range(5)]

    def said(*classes):
        return [
            c.message
            for c in findings.limits(evidence(pictures, [0, 1, 2, 3, 4], classes=classes))
            if "blanks" in c.message
        ]

    (message,) = said("circle", "Circle", "square", "sq uare", "circle ")
    assert 'blanks: "circle" and "Circle" and "circle ". If' in message and "square" not in message
    assert not said("a", "b", "c", "d", "e")


def test_a_run_without_signatures_says_what_its_search_misses():
    whole = evidence(PLAIN, LABELS)
    signature = np.zeros((len(LABELS), 99), np.int8)
    for given, said in ((signature[:0], 1), (signature, 0)):
        what = replace(whole, samples=replace(whole.samples, signature=given))
        told = [caveat.message for caveat in findings.limits(what) if "signatures" in caveat.message]
        assert len(told) == said and all("cropped, mirrored and turned" in message for message in told)


def test_what_cannot_be_memorized_is_not_missed():
    last, can = np.array([True, False, False] + [True] * 600), np.array([True, True, False] + [True] * 600)
    (caveat,) = caveats.of_training(training(), last, can)
    assert "1 of the 602 samples that can be memorized is still" in caveat.message
    assert caveats.of_training(training(), last, last) == ()


@pytest.mark.parametrize(
    "memorized",
    [
        [0.1, 0.5, 0.6, 0.7, 0.8, 0.9],  # not before the plain epochs: those do not judge
        [0.1, 0.7, 0.99, 0.995, 1.0, 1.0],  # nearly
    ],
)
def test_labels_are_judged_after_the_warm_up_and_before_the_plain_epochs(memorized):
    recipe = {"epochs": 6, "plain_epochs": 2}
    assert suggestion.judging_epochs(np.array(memorized), recipe).tolist() == [1, 2, 3]


def test_groups_come_by_their_first_picture():
    pictures, labels = [*PLAIN], [*LABELS]
    pictures[150], pictures[2] = pictures[0], pictures[1]
    labels[150], labels[2] = labels[0], labels[1]
    assert found(evidence(pictures, labels), "CA111") == [("CA111", {0, 150}), ("CA111", {1, 2})]


@pytest.mark.parametrize(("labels", "told"), [(range(12), True), ([0, *range(11)], False), (range(5), False)])
def test_a_class_for_each_picture_is_told(labels, told):
    """A column of numbers or names for the label: 10 pictures are the least of a class that says something."""
    labels = list(labels)
    pictures = [photo(seed, 64) for seed in range(len(labels))]
    said = [caveat.message for caveat in findings.limits(evidence(pictures, labels, classes=tuple("abcdefghijkl")))]
    assert any("has a class of its own" in message for message in said) == told


def test_a_picture_that_is_small_on_one_side_is_small():
    pictures = [photo(1, 64).resize((60, 12)), photo(2, 64), photo(3, 64)]
    said = [caveat.message for caveat in findings.limits(evidence(pictures, [0, 1, 0]))]
    assert any(message.startswith("1 pictures are smaller") for message in said)
