"""Typed attributes of a class, kept in a parameter node and bound to widgets.

What surprises in Slicer's own is imitated: ``connectGui`` returns None, not the tag that ``disconnectGui`` wants (use
``connectParametersToGui``, which returns it); every change of the node writes every bound widget; a wrapper is not the
node, it has only the names below.
"""

from __future__ import annotations

import typing
import weakref

import qt
import slicer
import vtk

from .connectors import GuiConnector, createGuiConnector
from .validators import Validator

SlicerParameterNamePropertyName = "SlicerParameterName"
_DEFAULTS = {str: "", int: 0, float: 0.0, bool: False}
_KNOWN = frozenset(
    ("parameterNode", "_parameterGUIs", "_nextParameterGUIsTag", "_updatingGUIFromParameterNode", "__weakref__")
)
_alive: weakref.WeakSet = weakref.WeakSet()
_bound: list[tuple[object, int]] = []


class Default:
    """``Annotated[float, Default(3.0)]``: another way to give the default."""

    def __init__(self, value=None, *, generator=None):
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._value if self._generator is None else self._generator()


class _Parameter:
    def __init__(self, name: str, annotation, default) -> None:
        parts = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Annotated else (annotation,)
        self.basename, self.unalteredType, self.kind, annotations = name, annotation, parts[0], parts[1:]
        self.validators = [entry for entry in annotations if isinstance(entry, Validator)]
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        if not self.is_node and self.kind not in _DEFAULTS:
            raise TypeError(f"The harness cannot keep a parameter of type {self.kind}.")
        given = next((entry.value for entry in annotations if isinstance(entry, Default)), None)
        default = given if default is None else default
        self.default = Default(default if default is not None or self.is_node else _DEFAULTS[self.kind])
        if not self.is_node:
            self.check(self.default.value)

    def is_in(self, node) -> bool:
        return self.is_node or node.HasParameter(self.basename)

    def read(self, node):
        if self.is_node:
            return node.GetNodeReference(self.basename)
        text = node.GetParameter(self.basename)
        return text == "True" if self.kind is bool else self.kind(text)

    def check(self, value) -> None:
        if not isinstance(value, self.kind) and not (self.kind is float and isinstance(value, int)):
            raise ValueError(f"{self.basename} must be a {self.kind.__name__}, got {type(value).__name__}")
        for validator in self.validators:
            validator.validate(value)

    def write(self, node, value) -> None:
        if self.is_node:
            if value is not None and not isinstance(value, self.kind):
                raise ValueError(f"{self.basename} must be a {self.kind.__name__}, got {type(value).__name__}")
            node.SetNodeReferenceID(self.basename, None if value is None else value.GetID())
            return
        self.check(value)
        node.SetParameter(self.basename, str(self.kind(value)))


def parameterNodeWrapper(classtype=None):
    """Give the annotated names of a class typed access to the parameter node that it is made with."""
    return _process if classtype is None else _process(classtype)


def _process(cls):
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: _Parameter(name, hint, cls.__dict__.get(name)) for name, hint in hints.items()}
    for name, parameter in parameters.items():
        setattr(cls, name, _access(parameter))
    for name, value in {**_METHODS, "allParameters": parameters, "_is_parameter_node_wrapper": True}.items():
        if hasattr(cls, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        setattr(cls, name, value)
    cls.__init__ = _init
    cls.__setattr__ = _only_known
    return cls


def isParameterNodeWrapper(classOrObj) -> bool:
    return getattr(classOrObj, "_is_parameter_node_wrapper", False)


def _access(parameter: _Parameter) -> property:
    return property(
        lambda self: parameter.read(self.parameterNode), lambda self, value: parameter.write(self.parameterNode, value)
    )


def _init(self, parameterNode, prefix: str | None = None):
    self.parameterNode = parameterNode
    self._parameterGUIs = {}
    self._nextParameterGUIsTag = 0
    self._updatingGUIFromParameterNode = False
    for parameter in self.allParameters.values():
        if not parameter.is_in(parameterNode):
            parameter.write(parameterNode, parameter.default.value)
    _alive.add(self)


def _only_known(self, name: str, value) -> None:
    """Stricter than Slicer, where a mistyped parameter silently becomes an attribute that nobody keeps."""
    if name not in _KNOWN and not isinstance(getattr(type(self), name, None), property):
        raise AttributeError(f"{type(self).__name__} has no parameter {name!r}")
    object.__setattr__(self, name, value)


def _check_name(self, name: str) -> None:
    if name not in self.allParameters:
        raise ValueError(
            f"Cannot find a param with the given name: {name}\n  Found parameters {sorted(self.allParameters)}"
        )


def _connect_parameters(self, mapping) -> int:
    """Bind widgets by parameter name; returns the tag for ``disconnectGui``."""
    for name in mapping:
        _check_name(self, name)
    connectors = {
        name: widget if isinstance(widget, GuiConnector) else createGuiConnector(widget, self.allParameters[name])
        for name, widget in mapping.items()
    }
    tag = self._nextParameterGUIsTag
    self._nextParameterGUIsTag += 1
    self._parameterGUIs[tag] = connectors
    for name, connector in connectors.items():
        connector.write(getattr(self, name))
        connector.onChanged(_to_parameter(self, name, connector))
    observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: _update_gui(self))
    # Python's collector takes observer, wrapper and node for a cycle that nobody needs; but the scene has the node.
    _bound.append((self, observer))
    return tag


def _to_parameter(self, name: str, connector):
    def changed() -> None:
        with slicer.util.NodeModify(self):
            if not self._updatingGUIFromParameterNode:
                setattr(self, name, connector.read())

    return changed


def _update_gui(self) -> None:
    if self._updatingGUIFromParameterNode:
        return
    self._updatingGUIFromParameterNode = True
    try:
        with slicer.util.NodeModify(self):
            for connectors in list(self._parameterGUIs.values()):
                for name, connector in connectors.items():
                    connector.write(getattr(self, name))
    finally:
        self._updatingGUIFromParameterNode = False


def _connect_gui(self, gui) -> None:
    """Bind the widgets of `gui` (a widget, or an object with widgets as attributes) that name a parameter."""
    is_widget = getattr(gui, "isWidgetType", lambda: False)()
    widgets = gui.findChildren(qt.QWidget) if is_widget else list(vars(gui).values())
    named = {}
    for widget in widgets:
        name = widget.property(SlicerParameterNamePropertyName)
        if name:
            named[name] = widget
    _connect_parameters(self, named)


def _disconnect_gui(self, guiTag) -> None:
    for connector in self._parameterGUIs.pop(guiTag, {}).values():
        connector.onChanged(None)


def forget_guis() -> None:
    """Of the harness: cut every wrapper from its widgets. In the application widgets live until it quits."""
    for wrapper in list(_alive):
        for tag in list(wrapper._parameterGUIs):
            wrapper.disconnectGui(tag)
    for wrapper, observer in _bound:
        wrapper.RemoveObserver(observer)
    _bound.clear()


def _get(self, name: str):
    _check_name(self, name)
    return getattr(self, name)


def _set(self, name: str, value) -> None:
    _check_name(self, name)
    setattr(self, name, value)


def _default(self, name: str):
    _check_name(self, name)
    return self.allParameters[name].default


def _data_type(self, name: str):
    _check_name(self, name)
    return self.allParameters[name].unalteredType


_METHODS = {
    "connectGui": _connect_gui,
    "connectParametersToGui": _connect_parameters,
    "disconnectGui": _disconnect_gui,
    "getValue": _get,
    "setValue": _set,
    "default": _default,
    "dataType": _data_type,
    "isCached": lambda self, name: _check_name(self, name) or not self.allParameters[name].is_node,
    "StartModify": lambda self: self.parameterNode.StartModify(),
    "EndModify": lambda self, wasModified: self.parameterNode.EndModify(wasModified),
    "AddObserver": lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
        event, callback, priority
    ),
    "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
    "Modified": lambda self: self.parameterNode.Modified(),
}
