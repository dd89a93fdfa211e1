"""Batches side by side, and measuring beside training: faster, and nothing else."""

import socket
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributed import HashStore

import curvaudit
from curvaudit.engine import measuring
from curvaudit.errors import CurvauditError
from curvaudit.records import Advanced, EpochDone, PhaseStarted
from curvaudit.scores import build
from curvaudit.scores.interface import ScoreSettings
from curvaudit.scores.measure import measure
from curvaudit.scores.threads import Closed, Gate, side_by_side, torch_threads, use_torch_threads
from curvaudit.training import processes
from curvaudit.training.aside import Aside, Inline, aside, in_turn
from curvaudit.training.batch_norm import calibrate
from curvaudit.training.device import choose_device
from curvaudit.training.model import build_model
from curvaudit.training.presets import named
from curvaudit.training.processes import ALONE, Processes

CPU = choose_device("cpu")
SMALL = {"epochs": 4, "width": 4, "device": "cpu", "workers": 1}  # batches of 16: measured beside training


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_a_new_thread(ask):
    found = []
    thread = threading.Thread(target=lambda: found.append(ask()))
    thread.start()
    thread.join()
    return found[0]


# --- side by side --------------------------------------------------------------------


def test_results_are_in_order_and_two_items_are_worked_on_at_once():
    both, told = threading.Barrier(2), []

    def work(item):
        both.wait(10)  # with one at a time nobody would ever come
        return 10 * item

    assert side_by_side(work, range(6), CPU, on_done=told.append) == [0, 10, 20, 30, 40, 50]
    assert sorted(told) == list(range(6))


@pytest.mark.parametrize(("threads", "items", "each"), [(2, 3, 1), (4, 2, 2), (1, 2, 1), (3, 1, 3)])
def test_workers_share_the_threads_and_leave_those_of_others_alone(threads, items, each):
    torch.set_num_threads(threads)
    assert set(side_by_side(lambda _: torch.get_num_threads(), range(items), CPU)) == {each}
    assert torch.get_num_threads() == threads
    assert in_a_new_thread(torch_threads) == threads


def test_threads_of_one_thread_are_not_those_of_others():
    use_torch_threads(1, 2)
    assert torch_threads() == 1
    assert in_a_new_thread(torch_threads) == 2


def test_the_first_error_ends_what_has_not_begun():
    begun = []

    def work(item):
        begun.append(item)
        time.sleep(0.01)
        if item == 1:
            raise ValueError("one")

    with pytest.raises(ValueError, match="one"):
        side_by_side(work, range(1000), CPU)
    assert len(begun) < 1000


def test_a_gate_lets_through_as_many_as_it_has_places():
    gate, inside, most = Gate(1), [], []

    def work(item):
        inside.append(item)
        most.append(len(inside))
        if item == 4:
            gate.widen(1)
        time.sleep(0.01)
        inside.remove(item)

    side_by_side(work, range(100), CPU, gate=gate)
    assert most[:4] == [1] * 4 and max(most) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_passes_a_closed_gate(threads):
    torch.set_num_threads(threads)
    gate, passed = Gate(2), []

    def work(item):
        passed.append(item)
        gate.close()

    with pytest.raises(Closed):
        side_by_side(work, range(50), CPU, gate=gate)
    assert 0 < len(passed) <= threads


def network_and_pictures():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (70, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 4, (70,), generator=generator)
    half = torch.full((3,), 0.5)
    model = build_model(classes=4, channels=3, resolution=16, width=16, mean=half, std=half, seed=0)
    return model, pixels, labels


def test_scores_and_statistics_are_the_same_to_the_bit_with_any_number_of_threads():
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        model, pixels, labels = network_and_pictures()
        calibrate(model, pixels, 16, CPU)
        scores = build(ScoreSettings(probes=2))
        values = measure(model, pixels, labels, scores, epoch=1, batch_size=8, device=CPU)
        values |= {name: buffer.numpy() for name, buffer in model.named_buffers()}
        found.append(values)
    for values in found[1:]:
        for name in found[0]:
            np.testing.assert_array_equal(values[name], found[0][name], err_msg=name)


def test_statistics_are_the_mean_of_those_of_batches():
    model, pixels, _ = network_and_pictures()
    calibrate(model, pixels, 35, CPU)
    stem = model.network.bn1
    with torch.no_grad():
        raw = [model.network.conv1((pixels[start::2] / 255 - model.mean) / model.std) for start in (0, 1)]
    torch.testing.assert_close(stem.running_mean, torch.stack([one.mean((0, 2, 3)) for one in raw]).mean(0))
    torch.testing.assert_close(stem.running_var, torch.stack([one.var((0, 2, 3)) for one in raw]).mean(0))


# --- beside training -----------------------------------------------------------------


def test_training_takes_half_of_the_threads_while_something_is_measured():
    torch.set_num_threads(4)
    with Aside() as beside:
        beside.share(True)
        beside.begin(lambda gate, say: side_by_side(lambda _: torch.get_num_threads(), range(9), CPU, gate=gate))
        assert torch.get_num_threads() == 2
        assert beside.wait(print) == [1] * 9
        assert in_a_new_thread(torch_threads) == 4
    assert torch.get_num_threads() == 4


def test_what_is_measured_beside_has_one_core_until_it_is_waited_for():
    at_once, inside = [], []

    def work(item):
        inside.append(item)
        at_once.append(len(inside))
        time.sleep(0.02)
        inside.remove(item)

    with Aside() as beside:
        beside.begin(lambda gate, say: side_by_side(work, range(100), CPU, gate=gate, on_done=lambda _: say(1)))
        while len(at_once) < 5:
            time.sleep(0.001)
        told = []
        beside.wait(told.append)
    assert set(at_once[:5]) == {1} and max(at_once) == 2 and sum(told) == 100


def test_leaving_ends_what_is_measured():
    begun = []

    def work(item):
        begun.append(item)
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt), Aside() as beside:
        beside.begin(lambda gate, say: side_by_side(work, range(10_000), CPU, gate=gate))
        raise KeyboardInterrupt
    assert len(begun) < 100


def test_what_cannot_be_measured_beside_is_not_waited_for(monkeypatch):
    def no_more_threads(*given):
        raise RuntimeError("can't start new thread")

    def wait(beside):
        with pytest.raises(RuntimeError, match="start new thread"):
            beside.wait(print)
        ended.append(True)

    ended = []
    monkeypatch.setattr("curvaudit.training.aside.use_torch_threads", no_more_threads)
    with Aside() as beside:
        beside.begin(lambda gate, say: None)
        waiting = threading.Thread(target=wait, args=(beside,), daemon=True)
        waiting.start()
        waiting.join(30)
    assert ended == [True]


def recipe(batch_size):
    return replace(named("fast", 100, 3), batch_size=batch_size)


@pytest.mark.parametrize(("threads", "batch_size", "device", "kind"), [
    (2, 16, "cpu", Aside),
    (1, 16, "cpu", Inline),
    (2, 128, "cpu", Inline),
    (2, 16, "meta", Inline),
])  # fmt: skip
def test_measuring_goes_beside_training_in_small_batches_on_several_cores(threads, batch_size, device, kind):
    torch.set_num_threads(threads)
    with aside(torch.device(device), recipe(batch_size), ALONE) as beside:
        assert type(beside) is kind


@pytest.mark.parametrize(("mine", "here", "of_machine", "batch_size", "of_training", "shared"), [
    (1, 2, 2, 16, 2, 1),
    (1, 2, 2, 128, 2, 2),
    (2, 4, 64, 16, 8, 4),
    (2, 1, 64, 16, 2, 1),  # the other process is on another machine
    (2, 4, 2, 128, 2, 2),  # each process is bound to cores of its own
    (4, 2, 1, 128, 4, 4),  # somebody asked for more threads than cores
])  # fmt: skip
def test_the_first_of_several_processes_trains_on_as_many_threads_as_one_would(
    mine, here, of_machine, batch_size, of_training, shared, monkeypatch
):
    monkeypatch.setattr(processes, "_own_cores", lambda: of_machine)
    store = HashStore()
    for rank in range(here + 1):
        store.set(f"process/{rank}", f"{socket.gethostname() if rank < here else 'elsewhere'} {rank}")
    torch.set_num_threads(mine)
    with aside(CPU, recipe(batch_size), Processes(0, here + 1, store)) as beside:
        assert type(beside) is Inline
        for share, expected in ((False, of_training), (True, shared)):
            beside.share(share)
            assert torch.get_num_threads() == expected
            beside.begin(lambda gate, say: torch.get_num_threads())
            assert beside.wait(print) == mine  # the others measure, too
        beside.share(False)
    assert torch.get_num_threads() == in_a_new_thread(torch_threads) == mine


def test_in_turn_nothing_is_measured_beside_training(image_folder, tmp_path):
    with in_turn(), aside(CPU, recipe(16), ALONE) as beside:
        assert type(beside) is Inline
    with in_turn():
        found = scores(curvaudit.scan(image_folder, tmp_path / "turns.h5", **SMALL))
    assert set(found) > {"curvature", "train"} and np.isfinite(found["train"]).all()


def scores(run):
    (training,) = run.trainings
    return {name: run.measure(0, name) for name in training.measures} | {"train": training.curves.train_loss}


@pytest.mark.parametrize("slow", ["measuring", "training"])
def test_scores_do_not_depend_on_what_is_done_first(image_folder, tmp_path, monkeypatch, slow):
    expected = scores(curvaudit.scan(image_folder, tmp_path / "usual.h5", **SMALL))
    measured_beside = []

    def hear(event):
        assert threading.current_thread() is threading.main_thread()
        if isinstance(event, Advanced) and slow == "training":
            time.sleep(0.05)
        if isinstance(event, EpochDone):
            measured_beside.append(event.epoch)

    if slow == "measuring":
        usual = measuring.Measuring.measure
        monkeypatch.setattr(measuring.Measuring, "measure", lambda *given: (time.sleep(0.5), usual(*given))[1])
    found = scores(curvaudit.scan(image_folder, tmp_path / "other.h5", on_event=hear, **SMALL))
    assert measured_beside == sorted(measured_beside) and len(measured_beside) >= 4
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_an_error_while_measuring_beside_training_ends_the_scan_and_loses_no_epoch(image_folder, tmp_path, monkeypatch):
    whole = scores(curvaudit.scan(image_folder, tmp_path / "whole.h5", **SMALL))
    out, usual = tmp_path / "run.h5", measuring.Measuring.measure

    def failing(self, model, number, gate, on_done):
        if number == 3:
            raise MemoryError
        return usual(self, model, number, gate, on_done)

    with monkeypatch.context() as patch:
        patch.setattr(measuring.Measuring, "measure", failing)
        with pytest.raises(CurvauditError, match="not enough memory"):
            curvaudit.scan(image_folder, out, **SMALL)
    assert curvaudit.open_run(out).trainings[0].epochs == 2
    for name, values in scores(curvaudit.scan(image_folder, out, resume=True, **SMALL)).items():
        np.testing.assert_array_equal(values, whole[name], err_msg=name)


def test_an_interrupt_in_training_does_not_wait_until_all_is_measured(image_folder, tmp_path, monkeypatch):
    from curvaudit.scores import measure as module

    begun, ended = threading.Event(), []

    def endless(*given, gate, **named):
        begun.set()
        try:
            while True:
                with gate:
                    time.sleep(0.001)
        finally:
            ended.append(True)

    def stop(event):
        if isinstance(event, PhaseStarted) and event.phase == "training epoch 2":
            assert begun.wait(60)
        if isinstance(event, Advanced) and begun.is_set():
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "measure", endless)
    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, tmp_path / "run.h5", on_event=stop, **SMALL)
    assert ended == [True]
    assert torch.get_num_threads() == 2
