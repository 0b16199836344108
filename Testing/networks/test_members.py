"""One tester that every named member passes, at width 8; and full width once."""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from LungNoduleSegLib.networks import NetworkConfig, ResidualUNet, ViTConfig, build, member, scaled
from LungNoduleSegLib.networks.scse import SCSE

SIZES = ((64, 64), (96, 96), (128, 128), (64, 160), (256, 256), (512, 512))


def tiles(network: ResidualUNet, n: int = 2, size: tuple[int, int] = (128, 128), seed: int = 5) -> torch.Tensor:
    return torch.randn(n, network.config.input_slices, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.no_grad()
def test_every_size(narrow: ResidualUNet, size: tuple[int, int]):
    logits = narrow(tiles(narrow, 1, size))
    assert logits.shape == (1, 1, *size)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()
    assert logits.std() > 0


@torch.no_grad()
def test_tiles_of_a_batch_do_not_meet(narrow: ResidualUNet):
    x = tiles(narrow, 3, (64, 64))
    torch.testing.assert_close(narrow(x), torch.cat([narrow(one[None]) for one in x]), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_memory_format_does_not_matter(narrow: ResidualUNet):
    x = tiles(narrow, 2, (64, 64))
    last = copy.deepcopy(narrow).to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x.contiguous(memory_format=torch.channels_last)), narrow(x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_whole_tile_is_seen(narrow: ResidualUNet):
    """A pixel in a corner moves the logit in the middle, and the input is not changed."""
    x = tiles(narrow, 1)
    before, kept = narrow(x), x.clone()
    assert torch.equal(x, kept)
    x[..., 0, 0] += 10
    assert (narrow(x) - before)[0, 0, 64, 64].abs() > 0


def test_backward_reaches_every_parameter(narrow: ResidualUNet):
    network = copy.deepcopy(narrow).train()
    for module in network.modules():
        if isinstance(module, SCSE):
            # So narrow, a squeezed layer is one ReLU, and the random weights may have switched it off.
            torch.nn.init.constant_(module.channel[1].bias, 3.0)
    x = tiles(network, 2, (64, 64)).requires_grad_()
    network(x).sigmoid().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    # A convolution's bias before a batch norm is taken out again; every weight must move something.
    still = [n for n, p in network.named_parameters() if n.endswith("weight") and not p.grad.abs().max() > 0]
    assert still == []
    assert (x.grad.abs().amax(dim=(0, 2, 3)) > 0).all()  # every input slice counts


def test_a_few_steps_lower_the_loss(narrow: ResidualUNet):
    network = copy.deepcopy(narrow).train()
    x = tiles(network, 2, (64, 64))
    truth = torch.zeros(2, 1, 64, 64)
    truth[:, :, 24:40, 24:40] = 1
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@torch.no_grad()
def test_save_and_load(narrow: ResidualUNet, tmp_path: Path):
    torch.save({"config": narrow.config.to_dict(), "state": narrow.state_dict()}, tmp_path / "network.pt")
    loaded = torch.load(tmp_path / "network.pt", weights_only=True)
    twin = build(NetworkConfig.from_dict(loaded["config"]))
    twin.load_state_dict(loaded["state"], strict=True)
    x = tiles(narrow, 1, (64, 64))
    assert torch.equal(twin.eval()(x), narrow(x))


@torch.no_grad()
def test_weights_file(narrow: ResidualUNet, tmp_path: Path):
    """Through a float16 safetensors file with its card: exactly the rounded weights, and nearly the same logits."""
    from LungNoduleSegLib.weights import Card, load_state, save_weights
    from LungNoduleSegLib.weights.catalog import entry_of
    from Testing.weights.samples import card_data

    config, slices = narrow.config, narrow.config.input_slices
    changes = {"architecture": config.to_dict(), "preprocessing__input_slices": slices}
    count = sum(p.numel() for p in narrow.parameters())
    save_weights(tmp_path, Card.from_dict(card_data(parameters=count, **changes)), narrow.state_dict())
    card = Card.read(tmp_path / "tiny.json")
    state = load_state(entry_of(card, tmp_path / "tiny.json", shipped=False))
    twin = build(NetworkConfig.from_dict(card.to_dict()["architecture"])).eval()
    twin.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=True)
    for name, value in narrow.state_dict().items():
        expected = value.half().to(value.dtype) if value.is_floating_point() else value
        assert torch.equal(twin.state_dict()[name], expected), name
    x = tiles(narrow, 1, (64, 64))
    torch.testing.assert_close(twin(x), narrow(x), atol=5e-3, rtol=0)


@torch.no_grad()
def test_trace(narrow: ResidualUNet):
    x = tiles(narrow)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The tracer warns that the grid of the position embedding is taken for a constant: it is one, at 128 px.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.jit.save(torch.jit.trace(narrow, x, check_trace=False), file)
        file.seek(0)
        loaded = torch.jit.load(file)
    for n in (1, 3):  # another number of tiles than in the trace
        other = tiles(narrow, n, seed=n)
        torch.testing.assert_close(loaded(other), narrow(other), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_onnx(narrow: ResidualUNet):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            narrow, (tiles(narrow),), file, dynamo=False, opset_version=17,
            input_names=["tiles"], output_names=["logits"],
            dynamic_axes={"tiles": {0: "n"}, "logits": {0: "n"}},
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    for n in (1, 3):
        x = tiles(narrow, n, seed=n)
        (logits,) = session.run(["logits"], {"tiles": x.numpy()})
        np.testing.assert_allclose(logits, narrow(x).numpy(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(100, 128), (128, 8), (72, 72)], ids=str)
def test_size_that_does_not_fit_is_refused(narrow: ResidualUNet, size: tuple[int, int]):
    with pytest.raises(ValueError, match=rf"multiples of 16, got \({size[0]}, {size[1]}\)"):
        narrow(tiles(narrow, 1, size))


def test_shape_that_does_not_fit_is_refused(narrow: ResidualUNet):
    slices = narrow.config.input_slices
    for shape in ((1, slices + 1, 64, 64), (slices, 64, 64), (1, 1, slices, 64, 64)):
        with pytest.raises(ValueError, match=rf"shape \(n, {slices}, h, w\), got \({shape[0]}, "):
            narrow(torch.zeros(shape))


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(),
        NetworkConfig(scse=("decoder",)),
        NetworkConfig(scse=("encoder", "bottleneck", "decoder"), vit=ViTConfig()),
        NetworkConfig(fusion=False),
        NetworkConfig(shortcuts=False),
        NetworkConfig(vit=ViTConfig(), input_px=96, input_slices=5),
    ],
    ids=["trunk", "decoder", "everything", "no fusion", "no shortcuts", "96 px, 5 slices"],
)
def test_other_members_learn_too(config: NetworkConfig):
    network = build(scaled(config, 8)).train()
    logits = network(torch.randn(2, config.input_slices, 96, 96))
    assert logits.shape == (2, 1, 96, 96)
    logits.mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("name", ["model-1", "model-2"])
@torch.no_grad()
def test_full_width_forward(name: str):
    with torch.device("meta"):
        network = build(member(name)).eval()
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for key, value in network.state_dict().items():
        # Faster than the default initialisation: scaled so that activations neither vanish nor grow.
        if not value.is_floating_point():
            value.zero_()
        elif value.dim() > 1:
            value.uniform_(-1, 1, generator=generator).mul_((6 / value[0].numel()) ** 0.5)
        else:
            value.fill_(1.0 if key.endswith(("weight", "running_var")) else 0.0)
    logits = network(torch.randn(1, 1, 128, 128, generator=generator))
    assert logits.shape == (1, 1, 128, 128)
    assert torch.isfinite(logits).all()
    assert logits.std() > 0
