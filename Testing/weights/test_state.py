"""Weights on disk: float16 there, float32 in memory, and nothing read before its hash is right."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights import Card, find, load_parts, load_state, save_weights
from LungNoduleSegLib.weights.catalog import entry_of
from LungNoduleSegLib.weights.state import as_loaded
from Testing.weights.samples import card_data, make_model, tiny_state


def entry_in(folder: Path):
    path = folder / "tiny.json"
    return entry_of(Card.read(path), path, shipped=False)


def test_round_trip_is_float16_on_disk_and_float32_in_memory(tmp_path: Path):
    card = make_model(tmp_path)
    stored = safetensors.numpy.load_file(tmp_path / "tiny.safetensors")
    loaded = load_state(entry_in(tmp_path))
    for name, value in tiny_state().items():
        if value.dtype == np.float32:
            assert stored[name].dtype == np.float16
            assert loaded[name].dtype == np.float32
            np.testing.assert_array_equal(loaded[name], value.astype(np.float16).astype(np.float32))
        else:
            assert loaded[name].dtype == value.dtype
            assert loaded[name].shape == value.shape
            np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].flags.writeable  # torch.from_numpy asks for it
    raw = (tmp_path / card.file).read_bytes()
    assert (card.size_bytes, card.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_a_false_positive_reduction_lies_in_the_same_file(tmp_path: Path):
    second = {"head.bias": np.array([0.5], np.float32), "head.weight": np.array([2.0, 3.0], np.float32)}
    layers = {"strides": [[1, 1, 1]], "paddings": [[0, 0, 0]]}
    described = card_data(postprocessing__candidate_scorer={}, postprocessing__reduction=layers)
    save_weights(tmp_path, Card.from_dict(described), tiny_state(), second)
    network, reduction = load_parts(entry_in(tmp_path))
    assert set(network) == set(tiny_state()) == set(load_state(entry_in(tmp_path)))
    assert {n: v.tolist() for n, v in reduction.items()} == {"head.bias": [0.5], "head.weight": [2.0, 3.0]}
    assert all(v.dtype == np.float32 for v in reduction.values())
    for data, given in ((card_data(), second), (described, None)):
        with pytest.raises(WeightsError, match="Write both together"):
            save_weights(tmp_path / "none", Card.from_dict(data), tiny_state(), given)
    assert not (tmp_path / "none").exists()
    make_model(tmp_path / "plain")
    assert load_parts(entry_in(tmp_path / "plain"))[1] == {}


def test_same_weights_give_the_same_file(tmp_path: Path):
    assert make_model(tmp_path / "a").sha256 == make_model(tmp_path / "b").sha256
    assert make_model(tmp_path / "c", seed=1).sha256 != make_model(tmp_path / "a").sha256


def test_strided_arrays_are_stored_by_value(tmp_path: Path):
    state = tiny_state()
    expected = state["head.weight"].copy()
    state["head.weight"] = np.asfortranarray(expected)
    save_weights(tmp_path, Card.from_dict(card_data()), state)
    np.testing.assert_allclose(load_state(entry_in(tmp_path))["head.weight"], expected, atol=2e-3)


def test_values_beyond_float16_are_kept(tmp_path: Path):
    state = tiny_state()
    state["norm.running_var"] = np.array([1e6, 1.0], np.float32)
    save_weights(tmp_path, Card.from_dict(card_data()), state)
    np.testing.assert_array_equal(load_state(entry_in(tmp_path))["norm.running_var"], [1e6, 1.0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float):
    state = tiny_state()
    state["head.bias"][0] = value
    with pytest.raises(WeightsError, match=r"head\.bias.*finite"):
        save_weights(tmp_path / "new", Card.from_dict(card_data()), state)
    assert not (tmp_path / "new").exists()


def test_wrong_number_of_parameters_is_refused_when_written_and_when_read(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"1004 parameters.*1005"):
        save_weights(tmp_path, Card.from_dict(card_data(parameters=1005)), tiny_state())
    make_model(tmp_path)
    entry = entry_in(tmp_path)
    with pytest.raises(WeightsError, match=r"1004 parameters.*says 999"):
        load_state(replace(entry, card=replace(entry.card, parameters=999)))


def test_a_corrupted_byte_anywhere_is_refused(tmp_path: Path):
    make_model(tmp_path)
    path = tmp_path / "tiny.safetensors"
    raw = path.read_bytes()
    for position in [*range(0, len(raw), 7), len(raw) - 1]:
        damaged = bytearray(raw)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match="SHA-256") as caught:
            load_state(entry_in(tmp_path))
        assert str(path) in str(caught.value)
        assert caught.value.remedy


@pytest.mark.parametrize(("length", "said"), [(100, "truncated"), (0, "truncated"), (5000, "too long")])
def test_file_of_another_length_is_refused(tmp_path: Path, length: int, said: str):
    card = make_model(tmp_path)
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(path.read_bytes().ljust(length, b"\0")[:length])
    with pytest.raises(WeightsError, match=f"{said}: {length} bytes.*{card.size_bytes}"):
        load_state(entry_in(tmp_path))


def test_nothing_is_parsed_before_the_hash_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_model(tmp_path)
    path = tmp_path / "tiny.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    monkeypatch.setattr(safetensors.numpy, "load", lambda _: pytest.fail("parsed"))
    with pytest.raises(WeightsError, match="SHA-256"):
        load_state(entry_in(tmp_path))


def test_right_hash_of_a_file_that_is_no_safetensors(tmp_path: Path):
    raw = b"no safetensors at all"
    (tmp_path / "tiny.safetensors").write_bytes(raw)
    card = Card.from_dict(card_data()).with_file("tiny.safetensors", hashlib.sha256(raw).hexdigest(), len(raw))
    card.write(tmp_path / "tiny.json")
    with pytest.raises(WeightsError, match="no safetensors file"):
        load_state(entry_in(tmp_path))


def test_model_without_weights_says_how_to_get_them(shipped: Path, own: Path):
    Card.from_dict(card_data(how_to_get="Train it with one command.")).write(shipped / "tiny.json")
    with pytest.raises(WeightsError, match=r"weights of tiny are not here.*Train it with one command"):
        load_state(find("tiny"))


def test_a_failed_write_leaves_the_old_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = make_model(tmp_path)

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(WeightsError, match="No space left"):
            make_model(tmp_path, seed=1)
    assert Card.read(tmp_path / "tiny.json") == before
    load_state(entry_in(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_torch_is_not_imported(tmp_path: Path):
    make_model(tmp_path)
    code = (
        "import sys\n"
        "from LungNoduleSegLib import weights\n"
        "state = weights.load_state(weights.find('tiny'))\n"
        "assert len(state) == 6\n"
        "print('torch' in sys.modules)\n"
    )
    environment = {"LUNGNODULESEG_WEIGHTS": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr


def test_as_loaded_is_what_a_round_trip_gives(tmp_path: Path):
    make_model(tmp_path)
    loaded, rounded = load_state(entry_in(tmp_path)), as_loaded(tiny_state())
    assert rounded.keys() == loaded.keys()
    for name, array in loaded.items():
        assert array.dtype == rounded[name].dtype
        np.testing.assert_array_equal(array, rounded[name])


def test_as_loaded_keeps_what_float16_cannot_hold():
    assert as_loaded({"norm.running_var": np.array([311_000.5], np.float32)})["norm.running_var"][0] == np.float32(
        311_000.5
    )
