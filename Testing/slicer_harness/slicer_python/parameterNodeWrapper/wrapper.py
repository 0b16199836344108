"""Typed attributes of a class, kept in a parameter node and bound to widgets."""

from __future__ import annotations

import typing

import slicer
import vtk

from .connectors import connector_for

_DEFAULTS = {str: "", int: 0, float: 0.0, bool: False}


class _Parameter:
    def __init__(self, name: str, annotation, default) -> None:
        parts = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Annotated else (annotation,)
        self.name, self.kind, self.validators = name, parts[0], parts[1:]
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        if not self.is_node and self.kind not in _DEFAULTS:
            raise TypeError(f"The harness cannot keep a parameter of type {self.kind}.")
        self.default = default if default is not None or self.is_node else _DEFAULTS[self.kind]

    def read(self, node):
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if text == "":
            return self.default
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node, value) -> None:
        if self.is_node:
            if value is not None and not isinstance(value, self.kind):
                raise ValueError(f"{self.name} must be a {self.kind.__name__}, got {type(value).__name__}")
            node.SetNodeReferenceID(self.name, None if value is None else value.GetID())
            return
        if not isinstance(value, self.kind) and not (self.kind is float and isinstance(value, int)):
            raise ValueError(f"{self.name} must be a {self.kind.__name__}, got {type(value).__name__}")
        for validator in self.validators:
            validator.validate(value)
        node.SetParameter(self.name, str(self.kind(value)))


def parameterNodeWrapper(cls):
    """Give the annotated names of `cls` typed access to the parameter node that it is made with."""
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: _Parameter(name, hint, cls.__dict__.get(name)) for name, hint in hints.items()}

    def __init__(self, parameterNode):
        self.__dict__.update(parameterNode=parameterNode, _gui={}, _next_tag=1)

    for name, parameter in parameters.items():
        setattr(cls, name, _access(parameter))
    cls.__init__ = __init__
    cls.__setattr__ = _only_known
    cls.connectGui = _connect_gui
    cls.disconnectGui = _disconnect_gui
    cls.__getattr__ = lambda self, name: getattr(self.__dict__["parameterNode"], name)
    cls.allParameters = parameters
    return cls


def _access(parameter: _Parameter) -> property:
    return property(
        lambda self: parameter.read(self.parameterNode), lambda self, value: parameter.write(self.parameterNode, value)
    )


def _only_known(self, name: str, value) -> None:
    if not isinstance(getattr(type(self), name, None), property):
        raise AttributeError(f"{type(self).__name__} has no parameter {name!r}")
    object.__setattr__(self, name, value)


def _connect_gui(self, gui) -> int:
    """Bind the widgets below `gui` that carry a ``SlicerParameterName``; returns a tag for ``disconnectGui``."""
    connectors = []
    for widget in vars(gui).values():
        name = widget.property("SlicerParameterName")
        if name is None:
            continue
        if name not in self.allParameters:
            raise ValueError(f"Widget {widget.objectName!r} names the unknown parameter {name!r}")
        connectors.append((name, connector_for(widget, self.allParameters[name])))

    def to_widgets(_caller=None, _event=None) -> None:
        for name, connector in connectors:
            connector.write(getattr(self, name))

    to_widgets()
    for name, connector in connectors:
        connector.on_changed(lambda value, name=name: setattr(self, name, value))
    observer = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, to_widgets)
    tag = self.__dict__["_next_tag"]
    self.__dict__["_next_tag"] = tag + 1
    self.__dict__["_gui"][tag] = (observer, connectors)
    return tag


def _disconnect_gui(self, tag) -> None:
    observer, connectors = self.__dict__["_gui"].pop(tag)
    self.parameterNode.RemoveObserver(observer)
    for _, connector in connectors:
        connector.disconnect()
