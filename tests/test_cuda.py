"""On a real GPU, where there is one: the same scan, memorized, resumed, and beside the processor."""

import numpy as np
import pytest
import torch
from made import draw_splits

import curvaudit
from curvaudit.records import EpochDone
from curvaudit.scores import ScoreSettings, build
from curvaudit.scores.measure import measure
from curvaudit.training.folding import folded
from curvaudit.training.model import build_model
from curvaudit.training.steps import RecordedSteps, Steps

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")

GPU = torch.device("cuda")


@pytest.fixture
def folder(tmp_path) -> str:
    return draw_splits(tmp_path / "images")


def test_a_gpu_measures_what_the_processor_measures_within_two_per_cent():
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (64, 3, 32, 32), generator=random, dtype=torch.uint8)
    labels = torch.randint(0, 5, (64,), generator=random)
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    model = build_model(classes=5, channels=3, resolution=32, width=16, mean=mean, std=std, seed=0)
    scores = build(ScoreSettings(probes=2))
    found = {}
    for device in (torch.device("cpu"), GPU):
        network = folded(model.to(device))
        found[device.type] = measure(network, pixels.to(device), labels, scores, epoch=3, batch_size=17, device=device)
    for name, here in found["cpu"].items():
        np.testing.assert_allclose(found["cuda"][name], here, rtol=2e-2, atol=1e-4 * np.abs(here).max(), err_msg=name)


# The second also with pixels that stay in the processor's memory.
@pytest.mark.parametrize("free", [None, 1000], ids=["pixels move", "pixels stay"])
def test_a_scan_on_a_gpu_memorizes_and_resumes_as_if_nothing_had_happened(tmp_path, folder, monkeypatch, free):
    if free is not None:
        monkeypatch.setattr("curvaudit.training.device._free_memory", lambda device: free)
    given = {"width": "16", "resolution": "12", "workers": 1, "device": "cuda", "validation": "val"}
    whole = curvaudit.scan(folder, tmp_path / "whole.h5", **given)
    assert whole.trainings[0].memorized and whole.info.config["device"] == "cuda"
    assert torch.cuda.get_device_name(GPU) in whole.info.environment["device_name"]

    def stop(event):
        if isinstance(event, EpochDone) and event.epoch == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(folder, tmp_path / "cut.h5", on_event=stop, **given)
    cut = curvaudit.scan(folder, tmp_path / "cut.h5", resume=True, **given)
    for name in whole.trainings[0].measures:
        np.testing.assert_array_equal(cut.measure(0, name), whole.measure(0, name), err_msg=name)


def test_recorded_steps_on_a_gpu_leave_the_gradients_of_steps():
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    models = [build_model(classes=5, channels=3, resolution=16, width=8, mean=mean, std=std, seed=0) for _ in range(2)]
    models = [model.to(GPU).train() for model in models]
    eager, recorded = (kind(model, GPU, bf16=False) for kind, model in zip((Steps, RecordedSteps), models, strict=True))
    random = torch.Generator().manual_seed(0)
    for size in [16, 15] * 15:
        images = torch.rand(size, 3, 16, 16, generator=random).to(GPU)
        labels = torch.randint(0, 5, (size,), generator=random).to(GPU)
        for model in models:
            model.zero_grad(set_to_none=True)
        torch.testing.assert_close(recorded(images, labels), eager(images, labels), rtol=1e-5, atol=1e-6)
        for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-6)
    assert sorted(recorded.recordings) == [15, 16]


def test_confident_learning_trains_on_a_gpu(tmp_path, folder):
    pytest.importorskip("cleanlab")
    given = {"width": "16", "resolution": "12", "workers": 1, "batch_size": 16, "epochs": 8}
    found = curvaudit.calibrate(folder, tmp_path / "c", device="cuda", rates=(0.1,), folds=2, baselines=True, **given)
    assert 0 <= found.quality("confident-learning", 0.1, "auroc").mean <= 1
