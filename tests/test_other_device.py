"""What a GPU would compute, as far as a machine without one can tell: everything is moved, and nothing is lost."""

import numpy as np
import pytest
import torch
from made import draw_splits
from other_device import DEVICE, OtherDevice, There

import curvaudit
from curvaudit.records import EpochDone
from curvaudit.training import device as choices
from curvaudit.training import measured
from curvaudit.training.aside import in_turn

SMALL = {
    "precision": "float32",
    "epochs": 3,
    "width": "16",
    "resolution": "12",
    "workers": 1,
    "batch_size": 16,
}


@pytest.fixture
def folder(tmp_path) -> str:
    return draw_splits(tmp_path / "images")


def test_the_device_of_this_test_mixes_with_no_other():
    with OtherDevice() as device:
        x = torch.ones(2, 3).to(DEVICE)
        y = (x * 2).cpu()
        assert isinstance(x, There) and not isinstance(y, There) and y.tolist() == [[2] * 3] * 2
        assert device.computed == 2
        with pytest.raises(RuntimeError, match="two devices"):
            x + torch.ones(2, 3)
        with pytest.raises(RuntimeError, match="two devices"):
            torch.ones(2, 3)[x.long()]
        with pytest.raises((RuntimeError, NotImplementedError)):
            x.numpy()


@pytest.fixture(params=["pixels stay", "pixels move"])
def room(request, monkeypatch) -> None:
    """With and without enough memory for all pixels."""
    free = 2**40 if request.param == "pixels move" else 1000
    monkeypatch.setattr(choices, "_free_memory", lambda device: free if device == DEVICE else None)


def test_pixels_lie_on_the_device_where_they_leave_it_room(monkeypatch):
    pixels = torch.zeros((10, 3, 4, 4), dtype=torch.uint8)
    assert choices.placed(pixels, torch.device("cpu")) is pixels
    with OtherDevice():
        for free, moved in ((4 * pixels.nbytes, True), (4 * pixels.nbytes - 1, False)):
            monkeypatch.setattr(choices, "_free_memory", lambda device, free=free: free)
            assert isinstance(choices.placed(pixels, DEVICE), There) == moved


# torch takes the name of the device at its word; the copy is made.
@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_a_scan_on_a_device_measures_what_the_processor_measures(tmp_path, folder, room, monkeypatch):
    # Processors have a network of their own, which adds in another order (tests/test_frozen.py): torch's on both sides.
    monkeypatch.setattr(measured, "freeze", lambda network, bf16: network)
    given = {**SMALL, "validation": "val"}
    with in_turn():  # beside measuring, training has fewer threads, which round otherwise
        curvaudit.scan(folder, tmp_path / "here.h5", device="cpu", **given)

    def stop(event):
        if isinstance(event, EpochDone) and event.epoch == 2:
            raise KeyboardInterrupt

    with OtherDevice() as device:
        with pytest.raises(KeyboardInterrupt):
            curvaudit.scan(folder, tmp_path / "there.h5", device=str(DEVICE), on_event=stop, **given)
        curvaudit.scan(folder, tmp_path / "there.h5", device=str(DEVICE), resume=True, **given)
    assert device.computed > 1000
    here, there = (curvaudit.open_run(tmp_path / name) for name in ("here.h5", "there.h5"))
    assert there.info.config["device"] == DEVICE.type
    for name in here.trainings[0].measures:
        a, b = (run.measure(0, name) for run in (here, there))
        np.testing.assert_array_equal(b, a, err_msg=name)
    np.testing.assert_array_equal(*(run.trainings[0].curves.val_loss for run in (here, there)))


def test_confident_learning_trains_on_a_device(tmp_path, folder, room):
    pytest.importorskip("cleanlab")
    given = {**SMALL, "epochs": 1, "rates": (0.1,), "folds": 2, "baselines": True}
    with OtherDevice():
        found = curvaudit.calibrate(folder, tmp_path / "c", device=str(DEVICE), **given)
    assert 0 <= found.quality("confident-learning", 0.1, "auroc").mean <= 1
