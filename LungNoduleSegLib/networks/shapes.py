"""Names and shapes of a member's weights, without building it."""

from __future__ import annotations

from LungNoduleSegLib.networks.config import FUSION_DILATIONS, SCSE_REDUCTION, STRIDE, VIT_MLP_RATIO, NetworkConfig

Shapes = dict[str, tuple[int, ...]]


def state_shapes(config: NetworkConfig) -> Shapes:
    """Name -> shape of all that the state of ``build(config)`` holds, batch norms' statistics and counters included."""
    widths, found = config.widths, Shapes()
    for level, (i, o) in enumerate(zip((config.input_slices, *widths[:-1]), widths)):
        found |= _unit(f"encoders.{level}", i, o, config.shortcuts)
    for level, width in enumerate(widths):
        if ("encoder" if level < 4 else "bottleneck") in config.scse:
            found |= _scse(f"encoder_attention.{level}", width)
    if config.vit is not None:
        found |= _vit(config)
    for level, width in enumerate(widths[:0:-1]):
        found |= _fusion(f"ups.{level}", width, config.fusion)
        found |= _unit(f"decoders.{level}", width, width // 2, config.shortcuts)
        if "decoder" in config.scse:
            found |= _scse(f"decoder_attention.{level}", width // 2)
    return found | _layer("head", 1, widths[0], 1, 1)


def _layer(name: str, outputs: int, *rest: int) -> Shapes:
    """A convolution (o, i, h, w) or a linear layer (o, i), with its bias."""
    return {f"{name}.weight": (outputs, *rest), f"{name}.bias": (outputs,)}


def _with_norm(name: str, at: int, outputs: int, inputs: int, size: int) -> Shapes:
    """A convolution, and the batch norm behind it."""
    norm = f"{name}.{at + 1}"
    values = dict.fromkeys((f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")), (outputs,))
    return {**_layer(f"{name}.{at}", outputs, inputs, size, size), **values, f"{norm}.num_batches_tracked": ()}


def _unit(name: str, i: int, o: int, shortcut: bool) -> Shapes:
    body = _with_norm(f"{name}.body", 0, o, i, 3) | _with_norm(f"{name}.body", 3, o, o, 3)
    return body | (_with_norm(f"{name}.shortcut", 0, o, i, 1) if shortcut else {})


def _scse(name: str, channels: int) -> Shapes:
    squeezed = max(1, channels // SCSE_REDUCTION)
    channel = _layer(f"{name}.channel.1", squeezed, channels, 1, 1) | _layer(
        f"{name}.channel.3", channels, squeezed, 1, 1
    )
    return channel | _layer(f"{name}.spatial.0", 1, channels, 1, 1)


def _fusion(name: str, channels: int, fusion: bool) -> Shapes:
    sizes = (1, *(3 for _ in FUSION_DILATIONS)) if fusion else ()
    found = Shapes()
    for n, size in enumerate(sizes):
        found |= _layer(f"{name}.branches.{n}", channels, channels, size, size)
    return found | _with_norm(f"{name}.reduce", 0, channels // 2, channels * max(1, len(sizes)), 1)


def _vit(config: NetworkConfig) -> Shapes:
    vit, channels = config.vit, config.widths[-1]
    assert vit is not None
    dim, grid = vit.dim, config.input_px // STRIDE
    found: Shapes = {"vit.class_token": (1, 1, dim), "vit.positions": (1, grid * grid + 1, dim)}
    found |= _layer("vit.embed", dim, channels, 1, 1)
    for n in range(vit.depth):
        block, hidden = f"vit.blocks.{n}", VIT_MLP_RATIO * dim
        for part, shape in (
            ("norm1", (dim,)), ("qkv", (3 * dim, dim)), ("proj", (dim, dim)),
            ("norm2", (dim,)), ("fc1", (hidden, dim)), ("fc2", (dim, hidden)),
        ):  # fmt: skip
            found |= _layer(f"{block}.{part}", *shape)
    return found | _layer("vit.norm", dim) | _layer("vit.unembed", channels, dim, 1, 1)
