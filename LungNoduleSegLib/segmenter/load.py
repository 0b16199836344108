"""From a model's name to a segmenter that is ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.segmenter.segmenter import Segmenter

if TYPE_CHECKING:
    from LungNoduleSegLib.inference.engines.batches import BatchEngine
    from LungNoduleSegLib.weights import Card

DEFAULT_MODEL = "model-2-compact"


def load_segmenter(
    model: str = DEFAULT_MODEL,
    device: str = "auto",
    *,
    precision: str = "auto",
    threads: int | None = None,
    engine: str = "auto",
) -> Segmenter:
    """Load a model of the catalog.

    Parameters
    ----------
    model
        Name, as ``lungnoduleseg models`` lists it.
    device
        "auto" (a working GPU, else the CPU), "cpu", "cuda", "cuda:N" or "mps"; a device asked for by name is tested and
        refused with the reason if it does not work.
    precision
        "auto", "float32", "bfloat16", "float16" or "int8" arithmetic.
    threads
        Threads on the CPU, with PyTorch for the whole process; None leaves the engine's choice.
    engine
        What computes: "torch" (PyTorch), "openvino" (OpenVINO, on the CPU in float32, bfloat16 or int8), "onnxruntime"
        (ONNX Runtime, on the CPU in float32 or int8), or "auto": PyTorch on a GPU, OpenVINO on CPUs with AVX2, else the
        fastest one for this CPU, as far as they are installed.

    Raises
    ------
    WeightsError
        Unknown model, missing or damaged weights, or weights that do not fit the architecture of their card.
    InputError
        A device or an engine that is unknown, does not work or is not installed.
    """
    from LungNoduleSegLib.inference.reduction import reduction_of
    from LungNoduleSegLib.weights import find, load_parts

    entry = find(model)
    state, second = load_parts(entry)
    reduction = reduction_of(entry.card.postprocessing.get("reduction"), second)
    made = engine_of(entry.card, state, device=device, precision=precision, threads=threads, engine=engine)
    return Segmenter(made, entry.card, reduction=reduction)


def engine_of(card: Card, state: dict[str, Any], **options: Any) -> BatchEngine:
    """An engine for the network that a card describes, with these weights; options are those of `make_engine`."""
    from LungNoduleSegLib.inference.engines.choose import make_engine
    from LungNoduleSegLib.inference.engines.fit import check_fit
    from LungNoduleSegLib.inference.engines.quantise import read_ranges
    from LungNoduleSegLib.inference.normalise import Normalisation
    from LungNoduleSegLib.networks import NetworkConfig, state_shapes
    from LungNoduleSegLib.weights import checks

    try:
        config = NetworkConfig.from_dict(checks.thawed(card.architecture))
        normalisation = Normalisation.from_dict(checks.thawed(card.preprocessing["normalisation"]))
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"the card of {card.name} describes a network that this version does not know ({error})",
            remedy="Update the program, or choose another model.",
        ) from error
    check_fit(state_shapes(config), state)
    ranges = read_ranges(card.quantisation["ranges"]) if card.quantisation else None
    return make_engine(config, state, normalisation, ranges=ranges, **options)
