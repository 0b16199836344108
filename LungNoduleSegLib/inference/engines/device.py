"""Which device runs the network: chosen, then tested by a real operation."""

from __future__ import annotations

import torch

from LungNoduleSegLib.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")


def available(kind: str) -> bool:
    """Whether torch says that it can use a device of this kind ("cpu", "cuda" or "mps")."""
    if kind == "cpu":
        return True
    if kind == "cuda":
        return torch.cuda.is_available()
    backend = getattr(torch.backends, "mps", None)
    return backend is not None and backend.is_available()


def failure(device: torch.device) -> str | None:
    """Run a small convolution on the device and compare it with the CPU; None, or what went wrong as a sentence.

    An installed driver proves little: a build of torch without kernels for the GPU at hand fails only when it is used.
    """
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 2, 16, 16, generator=generator)
    kernel = torch.rand(3, 2, 3, 3, generator=generator)
    expected = torch.nn.functional.conv2d(image, kernel)
    try:
        found = torch.nn.functional.conv2d(image.to(device), kernel.to(device)).cpu()
    except Exception as error:  # whatever a driver raises, the remedy is another device
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    # TF32 on a GPU keeps about three digits.
    return None if torch.allclose(found, expected, atol=0.05, rtol=0.01) else "a test convolution gave wrong numbers"


def choose_device(name: str = "auto") -> tuple[torch.device, tuple[str, ...]]:
    """The device to run on.

    Parameters
    ----------
    name
        "auto" (a working GPU, else the CPU), "cpu", "cuda", "cuda:1", "mps".

    Returns
    -------
    The device, and warnings: "auto" falls back to the CPU with a sentence where a GPU is there but does not work.

    Raises
    ------
    InputError
        For an unknown name, and for a device asked for by name that is absent or does not work.
    """
    kind = name.split(":", 1)[0]
    if kind not in DEVICES:
        raise InputError(f"Expected argument `device` to be one of {', '.join(DEVICES)} or cuda:N, got {name!r}")
    if kind != "auto":
        found = available(kind)
        finding = None if found else f"this installation of torch ({torch.__version__}) finds no {kind} device"
        if finding is None:
            try:
                device = torch.device(name)
            except RuntimeError as error:
                raise InputError(f"Expected argument `device` to be a device, got {name!r} ({error})") from error
            finding = failure(device)
        if finding is not None:
            raise InputError(f"device {name!r} cannot be used: {finding}", remedy="Choose the device auto or cpu.")
        return device, ()
    warnings: list[str] = []
    for kind in ("cuda", "mps"):
        if available(kind):
            device = torch.device(kind)
            finding = failure(device)
            if finding is None:
                return device, tuple(warnings)
            warnings.append(f"The {kind} device does not work ({finding}); the CPU is used.")
    return torch.device("cpu"), tuple(warnings)
