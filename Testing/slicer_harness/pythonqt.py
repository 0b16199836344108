"""The ``qt`` module as PythonQt offers it, on PySide6; process-wide and for tests only.

What differs from PySide6 and is imitated here:

* Qt properties, also read-only and dynamic ones, are attributes (``widget.enabled``); ``name`` is the object name.
* ``object.connect('clicked(bool)', function)`` and ``disconnect``; signal arguments that the function does not take are
  dropped; an exception in a slot does not reach the caller. It is kept in :data:`slot_errors` for the test to see.
* a widget of C++ takes no new attribute; an unknown one is an AttributeError on reading too.
* ``className()``, ``delete()``, ``exec_()``.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
import traceback
import types
from collections.abc import Callable

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

slot_errors: list[tuple[str, Exception]] = []

# Virtual getters that Qt itself calls by these names, and those that this file treats on its own.
_NOT_PATCHED = {"sizeHint", "minimumSizeHint", "duration", "parent", "objectName"}
_get_name = QtCore.QObject.objectName


def install() -> types.ModuleType:
    """Patch PySide6 and register the ``qt`` module; does so once."""
    if "qt" in sys.modules:
        return sys.modules["qt"]
    _keep_none()
    qt = types.ModuleType("qt", __doc__)
    classes = []
    for module in (QtCore, QtGui, QtWidgets, QtUiTools):
        for name in dir(module):
            if name.startswith("_"):
                continue
            value = getattr(module, name)
            setattr(qt, name, value)
            if isinstance(value, type) and issubclass(value, QtCore.QObject):
                classes.append(value)
    for cls in classes:
        _properties_as_attributes(cls)
    _patch_base(QtCore.QObject)
    for cls in dict.fromkeys([QtCore.QObject, *classes]):
        _patch_access(cls)
    QtWidgets.QDialog.exec_ = QtWidgets.QDialog.exec
    QtCore.QCoreApplication.exec_ = QtCore.QCoreApplication.exec
    qt.QT_VERSION_STR = QtCore.qVersion()
    sys.modules["qt"] = qt
    return qt


def _keep_none() -> None:
    """PySide6 6.12 takes None for immortal, as it is from Python 3.12 on, and each call that returns nothing takes one
    of its references: before 3.12 Python ends after some thousand calls."""
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def _properties_as_attributes(cls: type) -> None:
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        getter = cls.__dict__.get(name)
        if name in _NOT_PATCHED or (getter is not None and not callable(getter)):
            continue  # for example a signal of the same name
        setattr(cls, name, _attribute(name, getter))


class _Attribute(property):
    """A property of objects; the class keeps a static method of the same name (``qt.QTimer.singleShot``)."""

    native: Callable | None = None

    def __get__(self, instance, owner=None):
        return super().__get__(instance, owner) if instance is not None or self.native is None else self.native


def _attribute(name: str, getter: Callable | None) -> property:
    def read(self):
        if getter is not None:
            try:
                return getter(self)
            except TypeError:  # a getter of this name that wants arguments
                pass
        return QtCore.QObject.property(self, name)

    made = _Attribute(read, lambda self, value: _write(self, name, value))
    made.native = getter
    return made


def _write(self, name: str, value) -> None:
    meta = self.metaObject()
    described = meta.property(meta.indexOfProperty(name))
    if not described.isWritable():
        raise AttributeError(f"Property {name!r} of {meta.className()} object is not writable")
    if self.setProperty(name, value):
        return
    setter = getattr(self, "set" + name[0].upper() + name[1:], None)  # enums that QVariant does not convert
    if setter is None:
        raise ValueError(f"Property {name!r} of type {described.typeName()!r} does not accept {value!r}")
    setter(value)


def _patch_base(base: type) -> None:
    base.objectName = property(_get_name, lambda self, value: self.setObjectName(value))
    base.name = base.objectName
    # PySide6's own metaObject() ties the description of a class to the object that was asked: when that object ends,
    # the class has none any more.
    base.metaObject = lambda self: type(self).staticMetaObject
    base.className = lambda self: self.metaObject().className()
    base.delete = lambda self: self.deleteLater()

    def missing(self, name):
        """Reached only where the usual look-up finds nothing: dynamic properties, then children by name."""
        if name.startswith("__") or name == "_connections":
            raise AttributeError(name)
        if name in _dynamic(self):
            return self.property(name)
        for child in self.children():
            if _get_name(child) == name:
                return child
        raise AttributeError(f"{self.metaObject().className()} has no attribute named {name!r}")

    base.__getattr__ = missing


def _patch_access(cls: type) -> None:
    if "__getattribute__" in cls.__dict__ or cls is QtCore.QObject:
        usual = cls.__getattribute__

        def get(self, name, _usual=usual):
            # PySide6 answers these two before it looks at the class, so overriding them there is not enough.
            if name == "connect":
                return types.MethodType(_connect, self)
            if name == "disconnect":
                return types.MethodType(_disconnect, self)
            return _usual(self, name)

        cls.__getattribute__ = get
    if "__setattr__" in cls.__dict__ or cls is QtCore.QObject:
        cls.__setattr__ = _set


def _set(self, name: str, value) -> None:
    cls = type(self)
    if cls.__module__.startswith("PySide6") and not hasattr(cls, name):
        if name in _dynamic(self):
            self.setProperty(name, value)
            return
        raise AttributeError(f"{name!r} does not exist on {cls.__name__}, and a C++ object takes no new attributes")
    for parent in cls.__mro__:
        if name in parent.__dict__:
            found = parent.__dict__[name]
            if isinstance(found, QtCore.Property):
                found.fset(self, value)
                return
            if hasattr(type(found), "__set__"):
                found.__set__(self, value)
                return
            break
    self.__dict__[name] = value


def _dynamic(self) -> list[str]:
    return [bytes(name.data()).decode() for name in self.dynamicPropertyNames()]


def _connect(self, signal: str, *target) -> bool:
    """``connect(signal, callable)`` or ``connect(signal, receiver, slot)``."""
    function = _target(target)
    emitter = _signal(self, signal)
    guarded = _guarded(signal, function)
    emitter.connect(guarded)
    self.__dict__.setdefault("_connections", []).append((_plain(signal), function, guarded, emitter))
    return True


def _disconnect(self, signal: str | None = None, *target) -> bool:
    function = _target(target) if target else None
    connections = self.__dict__.get("_connections", [])
    kept = []
    for connection in connections:
        if (signal is None or connection[0] == _plain(signal)) and (function is None or connection[1] == function):
            connection[3].disconnect(connection[2])
        else:
            kept.append(connection)
    self.__dict__["_connections"] = kept
    return len(kept) < len(connections)


def _target(target: tuple) -> Callable:
    function = target[0] if len(target) == 1 else getattr(target[0], target[1].partition("(")[0].strip())
    return function.emit if isinstance(function, QtCore.SignalInstance) else function


def _plain(signal: str) -> str:
    return signal.replace(" ", "")


def _arity(arguments: str) -> int:
    return len([part for part in arguments.split(",") if part])


def _signal(self, signal: str):
    """The bound signal of this signature; a RuntimeError where the class has none, as PythonQt warns."""
    name, _, arguments = _plain(signal).partition("(")
    arguments = arguments.rstrip(")")
    meta = self.metaObject()
    methods = [meta.method(index) for index in range(meta.methodCount())]
    signals = [method for method in methods if method.methodType() == QtCore.QMetaMethod.MethodType.Signal]
    known = [bytes(s.methodSignature().data()).decode() for s in signals if bytes(s.name().data()).decode() == name]
    # Stand-ins carry VTK objects as Python objects, whatever type the real signature names.
    objects = [k for k in known if "PyObject" in k and _arity(k.partition("(")[2]) == _arity(arguments)]
    if f"{name}({arguments})" not in known and not objects:
        raise RuntimeError(f"{meta.className()} has no signal {signal!r}; it has {known}")
    hidden = isinstance(inspect.getattr_static(type(self), name, None), property)
    bound = _own(self, name) if hidden else getattr(self, name)
    if len(known) > 1 and not objects:
        try:
            return bound[arguments] if arguments else bound
        except (KeyError, IndexError):
            return bound
    return bound


def _own(self, name: str):
    for cls in type(self).__mro__:
        if isinstance(cls.__dict__.get(name), QtCore.Signal):
            return cls.__dict__[name].__get__(self, type(self))
    raise RuntimeError(f"{type(self).__name__} has no signal {name!r}")


def _guarded(signal: str, function: Callable) -> Callable:
    count = _accepted(function)

    def call(*arguments):
        try:
            return function(*(arguments if count is None else arguments[:count]))
        except Exception as error:
            slot_errors.append((signal, error))
            traceback.print_exc()

    return call


def _accepted(function: Callable) -> int | None:
    """How many positional arguments a Python function takes; None for any number, and for what is not Python."""
    plain = function.__func__ if inspect.ismethod(function) else function
    if not inspect.isfunction(plain) or plain.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return plain.__code__.co_argcount - inspect.ismethod(function)
