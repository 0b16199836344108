"""A graph of operators as the bytes of an ONNX file, written without any package but numpy.

Only what a network of convolutions needs: tensors of five kinds of numbers, nodes of the standard operators, sizes that
are known or named. ONNX files are protocol buffers; the numbers of the fields are those of ``onnx.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
IR_VERSION = 8
"""Both are read by every ONNX Runtime since 1.12."""

_FLOAT = 1
_KINDS = {
    np.dtype(np.float32): _FLOAT, np.dtype(np.uint8): 2, np.dtype(np.int8): 3, np.dtype(np.int32): 6,
    np.dtype(np.int64): 7,
}  # fmt: skip

Size = int | str
"""Of one axis: a number, or a name for one that is known at run time only."""

Message = list[bytes | memoryview]
"""A protocol buffer in pieces, so that the weights in it are copied once, at the end."""


class Graph:
    """Nodes and constants, in the order in which they are computed."""

    def __init__(self, name: str):
        self._name = name
        self._nodes: Message = []
        self._constants: Message = []
        self._inputs: Message = []
        self._outputs: Message = []
        self._count = 0

    def input(self, name: str, sizes: Sequence[Size]) -> str:
        """A float32 tensor that is given at run time."""
        self._inputs += _message(11, _value_info(name, sizes))
        return name

    def output(self, name: str, sizes: Sequence[Size]) -> None:
        """A float32 tensor that can be asked for; its name is that of a node's output."""
        self._outputs += _message(12, _value_info(name, sizes))

    def constant(self, array: NDArray, name: str | None = None) -> str:
        """A tensor that is part of the file: float32, or whole numbers of 8 (signed or not), 32 or 64 bits."""
        name = name or self._new("constant")
        array = np.ascontiguousarray(array)
        tensor: Message = [_number(1, size) for size in array.shape]
        tensor += [_number(2, _KINDS[array.dtype]), *_text(8, name)]
        # The format's numbers are little-endian.
        tensor += _message(9, [memoryview(array.astype(array.dtype.newbyteorder("<"), copy=False)).cast("B")])
        self._constants += _message(5, tensor)
        return name

    def node(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        return self.nodes(operator, *inputs, names=[name or self._new(operator)], **attributes)[0]

    def nodes(self, operator: str, *inputs: str, names: Sequence[str], **attributes: Any) -> list[str]:
        """A node with several outputs."""
        node: Message = []
        for field, texts in ((1, inputs), (2, names), (3, names[:1]), (4, (operator,))):
            for text in texts:
                node += _text(field, text)
        for key, value in attributes.items():
            node += _message(5, _attribute(key, value))
        self._nodes += _message(1, node)
        return list(names)

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"

    def to_bytes(self) -> bytes:
        """The whole file."""
        graph = [*self._nodes, *_text(2, self._name), *self._constants, *self._inputs, *self._outputs]
        opset = [*_text(1, ""), _number(2, OPSET)]
        return b"".join([_number(1, IR_VERSION), *_text(2, "LungNoduleSeg"), *_message(7, graph), *_message(8, opset)])


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers as two's complement
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, pieces: Sequence[bytes | memoryview]) -> Message:
    return [_varint(field << 3 | 2) + _varint(sum(map(len, pieces))), *pieces]


def _text(field: int, text: str) -> Message:
    return _message(field, [text.encode()])


def _attribute(name: str, value: float | int | str | Sequence[int]) -> Message:
    content: Message
    if isinstance(value, float):
        kind, content = 1, [_varint(2 << 3 | 5) + struct.pack("<f", value)]
    elif isinstance(value, int):
        kind, content = 2, [_number(3, value)]
    elif isinstance(value, str):
        kind, content = 3, _text(4, value)
    else:
        kind, content = 7, [_number(8, number) for number in value]
    return [*_text(1, name), *content, _number(20, kind)]


def _value_info(name: str, sizes: Sequence[Size]) -> Message:
    shape: Message = []
    for size in sizes:
        shape += _message(1, [_number(1, size)] if isinstance(size, int) else _text(2, size))
    return [*_text(1, name), *_message(2, _message(1, [_number(1, _FLOAT), *_message(2, shape)]))]
