"""Stand-ins for the ctk widgets that the panel uses, on PySide6.

Only what the panel uses is here; a class that is missing makes loading the .ui fail, which is the moment to add it.
A setter that the application does not offer to Python (``setFilters``) is not here either: properties are attributes.
"""

from __future__ import annotations

import os

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, QEvent, Qt, Signal

from .properties import stored

_Style = QtWidgets.QStyle
_LEFT = Qt.AlignmentFlag.AlignLeft.value | Qt.AlignmentFlag.AlignVCenter.value
_MNEMONIC = Qt.TextFlag.TextShowMnemonic.value


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header that hides its children when it is collapsed; drawn as ctk draws it."""

    contentsCollapsed = Signal(bool)
    collapsedHeight = stored(int, "collapsedHeight", 10)
    flat = stored(bool, "flat", False)
    contentsFrameShape = stored(int, "contentsFrameShape", 0)
    contentsFrameShadow = stored(int, "contentsFrameShadow", int(QtWidgets.QFrame.Shadow.Plain.value))
    contentsLineWidth = stored(int, "contentsLineWidth", 1)
    contentsMidLineWidth = stored(int, "contentsMidLineWidth", 0)

    def __init__(self, text="", parent=None) -> None:
        if isinstance(text, QtWidgets.QWidget):
            text, parent = "", text
        self._forcing = False
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.setText(text or "")
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Minimum, policy.Preferred)
        self.setContentsMargins(0, self._header().height(), 0, 0)
        self.setBackgroundRole(QtGui.QPalette.ColorRole.Window)
        self.toggled.connect(self._toggled)

    collapsed = Property(
        bool,
        lambda self: not self.isChecked(),
        lambda self, value: self.setChecked(not value),
        notify=contentsCollapsed,
    )

    def _toggled(self, _on: bool) -> None:
        self.setMaximumHeight(16777215 if self.isChecked() else self.sizeHint().height())
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                self._place(child)
        self.updateGeometry()
        self.contentsCollapsed.emit(not self.isChecked())

    def _place(self, child: QtWidgets.QWidget) -> None:
        """Show or hide a child: what its owner wants is kept, and holds while this is open."""
        self._forcing = True
        wanted = child.property("visibilityToParent")
        child.setVisible(self.isChecked() and wanted is not False)
        if wanted is not False:
            child.setAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)
        self._forcing = False

    def childEvent(self, event) -> None:
        child = event.child()
        if event.type() == QEvent.Type.ChildAdded and child.isWidgetType():
            child.installEventFilter(self)
            if not self.isChecked():
                self._place(child)
        super().childEvent(event)

    def eventFilter(self, child, event) -> bool:
        if not self._forcing and isinstance(child, QtWidgets.QWidget):
            if event.type() == QEvent.Type.ShowToParent:
                child.setProperty("visibilityToParent", True)
                self._place(child)
            elif event.type() == QEvent.Type.HideToParent:
                child.setProperty("visibilityToParent", False)
        return super().eventFilter(child, event)

    def setVisible(self, visible: bool) -> None:
        forcing, self._forcing = self._forcing, True
        super().setVisible(visible)
        self._forcing = forcing

    def _option(self) -> QtWidgets.QStyleOptionButton:
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.state |= _Style.StateFlag.State_Sunken if self.isDown() else _Style.StateFlag.State_Raised
        option.text = str(self.property("text"))
        return option

    def _indicator(self, option) -> QtCore.QSize:
        style = self.style()
        metric = _Style.PixelMetric
        return QtCore.QSize(
            style.pixelMetric(metric.PM_IndicatorWidth, option, self),
            style.pixelMetric(metric.PM_IndicatorHeight, option, self),
        )

    def _header(self) -> QtCore.QSize:
        """Size of the button without its contents."""
        option = self._option()
        indicator = self._indicator(option)
        text = self.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, option.text or "XXXX")
        spacing = self.style().pixelMetric(_Style.PixelMetric.PM_CheckBoxLabelSpacing, option, self)
        inner = QtCore.QSize(indicator.width() + spacing + text.width(), max(indicator.height(), text.height()))
        return self.style().sizeFromContents(_Style.ContentsType.CT_PushButton, option, inner, self)

    def sizeHint(self) -> QtCore.QSize:
        header = self._header() + QtCore.QSize(0, self.__dict__.get("_stored_collapsedHeight", 10))
        if not self.isChecked() or self.layout() is None:
            return header
        return self.layout().totalSizeHint().expandedTo(header)

    def minimumSizeHint(self) -> QtCore.QSize:
        if not self.isChecked():
            return self.sizeHint()
        header = self._header()
        return header if self.layout() is None else self.layout().totalMinimumSize().expandedTo(header)

    def hasHeightForWidth(self) -> bool:
        return self.isChecked() and self.layout() is not None and self.layout().hasHeightForWidth()

    def heightForWidth(self, width: int) -> int:
        return self.layout().totalHeightForWidth(width) if self.hasHeightForWidth() else -1

    def paintEvent(self, _event) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = self._option()
        height = self._header().height()
        option.rect.setHeight(height)
        painter.drawControl(_Style.ControlElement.CE_PushButtonBevel, option)
        size = self._indicator(option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(
            (height - size.width()) // 2, (height - size.height()) // 2, size.width(), size.height()
        )
        element = _Style.PrimitiveElement
        painter.drawPrimitive(element.PE_IndicatorArrowUp if self.isChecked() else element.PE_IndicatorArrowDown, arrow)
        spacing = self.style().pixelMetric(_Style.PixelMetric.PM_CheckBoxLabelSpacing, option, self)
        option.rect.setLeft(arrow.rect.right() + spacing)
        self.style().drawItemText(
            painter,
            option.rect,
            _LEFT | _MNEMONIC,
            option.palette,
            self.isEnabled(),
            option.text,
            QtGui.QPalette.ColorRole.ButtonText,
        )
        if self.isChecked():
            frame = QtWidgets.QStyleOptionFrame()
            frame.initFrom(self)
            frame.rect.setTop(height)
            frame.frameShape = QtWidgets.QFrame.Shape(self.__dict__.get("_stored_contentsFrameShape", 0))
            frame.lineWidth = 1
            painter.drawControl(_Style.ControlElement.CE_ShapedFrame, frame)

    def hitButton(self, position) -> bool:
        return position.y() <= self._header().height()


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose check mark is an arrow: unchecked, it hides its children."""

    collapsedHeight = stored(int, "collapsedHeight", 14)

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._toggled)

    collapsed = Property(
        bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value), user=False
    )

    def _toggled(self, on: bool) -> None:
        title = self.fontMetrics().height() + self.__dict__.get("_stored_collapsedHeight", 14)
        self.setMaximumHeight(16777215 if on else title)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(on)

    def childEvent(self, event) -> None:
        if event.type() == QEvent.Type.ChildPolished and event.child().isWidgetType() and not self.isChecked():
            event.child().setVisible(False)
        super().childEvent(event)

    def paintEvent(self, _event) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionGroupBox()
        self.initStyleOption(option)
        option.subControls &= ~_Style.SubControl.SC_GroupBoxCheckBox
        painter.drawComplexControl(_Style.ComplexControl.CC_GroupBox, option)
        box = self.style().subControlRect(
            _Style.ComplexControl.CC_GroupBox, option, _Style.SubControl.SC_GroupBoxCheckBox, self
        )
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = box
        element = _Style.PrimitiveElement
        painter.drawPrimitive(element.PE_IndicatorArrowUp if self.isChecked() else element.PE_IndicatorArrowDown, arrow)


class ctkComboBox(QtWidgets.QComboBox):
    returnRelease = Signal()
    defaultText = stored(str, "defaultText", "")
    forceDefault = stored(bool, "forceDefault", False)
    elideMode = stored(int, "elideMode", 3)
    scrollWheelEffect = stored(int, "scrollWheelEffect", 2)
    currentUserDataAsString = Property(
        str,
        lambda self: str(self.itemData(self.property("currentIndex")) or ""),
        lambda self, value: self.setCurrentIndex(self.findData(value)),
    )

    def setCurrentUserDataAsString(self, value: str) -> None:
        self.currentUserDataAsString = value

    def paintEvent(self, _event) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        if self.property("currentIndex") < 0 or self.forceDefault:
            option.currentText = self.defaultText
        painter.drawComplexControl(_Style.ComplexControl.CC_ComboBox, option)
        painter.drawControl(_Style.ControlElement.CE_ComboBoxLabel, option)


class ctkCheckBox(QtWidgets.QCheckBox):
    """A check box that can have an icon in the place of its mark."""


class ctkPushButton(QtWidgets.QPushButton):
    buttonTextAlignment = stored(int, "buttonTextAlignment", 132)
    iconAlignment = stored(int, "iconAlignment", 132)
    elideMode = stored(int, "elideMode", 3)


class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with a menu behind an arrow of its own."""


class ctkSearchBox(QtWidgets.QLineEdit):
    """A line edit with a magnifying glass."""

    showSearchIcon = stored(bool, "showSearchIcon", False)


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser as high as its text."""

    collapsed = stored(bool, "collapsed", True)
    disableMouseScroll = stored(bool, "disableMouseScroll", False)
    showDetailsText = stored(str, "showDetailsText", "Show details...")
    hideDetailsText = stored(str, "hideDetailsText", "Hide details.")

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        document = self.document().clone()
        document.setTextWidth(width - 2 * self.frameWidth)
        return round(document.size().height()) + 2 * self.frameWidth

    def sizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(200, self.heightForWidth(200))

    minimumSizeHint = sizeHint


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box; the spin box holds the value."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)
    tracking = stored(bool, "tracking", True)
    pageStep = stored(float, "pageStep", 1.0)
    tickInterval = stored(float, "tickInterval", 0.0)
    popupSlider = stored(bool, "popupSlider", False)
    _STEPS = 1000

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, self._STEPS)
        self._slider.setSizePolicy(QtWidgets.QSizePolicy.Policy.MinimumExpanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._box = QtWidgets.QDoubleSpinBox()
        self._box.setRange(0.0, 99.0)
        self._following = False
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self.setFocusProxy(self._slider)
        self._box.valueChanged.connect(self._box_moved)
        self._slider.valueChanged.connect(self._slider_moved)
        self._slider.sliderReleased.connect(self._released)

    def _follow(self) -> None:
        low, high = self._box.property("minimum"), self._box.property("maximum")
        self._following = True
        self._slider.setValue(round(self._STEPS * (self._box.property("value") - low) / ((high - low) or 1.0)))
        self._following = False

    def _box_moved(self, value: float) -> None:
        self._follow()
        if self._slider.property("sliderDown") and not self.tracking:
            self.valueIsChanging.emit(value)
        else:
            self.valueChanged.emit(value)

    def _slider_moved(self, step: int) -> None:
        if not self._following:
            low, high = self._box.property("minimum"), self._box.property("maximum")
            self._box.setValue(low + (high - low) * step / self._STEPS)

    def _released(self) -> None:
        if not self.tracking:
            self.valueChanged.emit(self._box.property("value"))

    def _of_box(name, kind, notify=None):
        def read(self):
            return self._box.property(name)

        def write(self, value) -> None:
            getattr(self._box, "set" + name[0].upper() + name[1:])(kind(value))
            self._follow()

        return Property(kind, read, write, notify=notify) if notify else Property(kind, read, write)

    value = _of_box("value", float, valueChanged)
    minimum = _of_box("minimum", float)
    maximum = _of_box("maximum", float)
    singleStep = _of_box("singleStep", float)
    decimals = _of_box("decimals", int, decimalsChanged)
    prefix = _of_box("prefix", str)
    suffix = _of_box("suffix", str)
    del _of_box
    spinBoxVisible = Property(
        bool, lambda self: self._box.isVisibleTo(self), lambda self, value: self.setSpinBoxVisible(value)
    )

    def setValue(self, value: float) -> None:
        self.value = value

    def setDecimals(self, decimals: int) -> None:
        self.decimals = decimals

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._box.setVisible(visible)

    def reset(self) -> None:
        self.value = 0.0


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a history and a button that opens a file dialog; the text is the path, whether it exists or not."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    # As QDir.Filter.
    Dirs, Files, Drives, NoSymLinks, AllEntries = 0x1, 0x2, 0x4, 0x8, 0x7
    Readable, Writable, Executable, Modified, Hidden, System = 0x10, 0x20, 0x40, 0x80, 0x100, 0x200
    AllDirs, CaseSensitive, NoDot, NoDotDot, NoDotAndDotDot = 0x400, 0x800, 0x2000, 0x4000, 0x6000
    filters = stored(int, "filters", AllEntries | NoDotAndDotDot | Readable | Executable)
    nameFilters = stored("QStringList", "nameFilters", [])
    label = stored(str, "label", "")
    minimumContentsLength = stored(int, "minimumContentsLength", 0)
    sizeAdjustPolicy = stored(int, "sizeAdjustPolicy", 1)
    settingKey = stored(str, "settingKey", "")
    _HISTORY = 5

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._combo = QtWidgets.QComboBox()
        self._combo.setEditable(True)
        self._combo.setInsertPolicy(QtWidgets.QComboBox.InsertPolicy.NoInsert)
        # QComboBox asks for the room of its longest item, ctk for that of its text.
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._combo.setMinimumContentsLength(7)
        self._browse = QtWidgets.QToolButton()
        self._browse.setText("...")
        policy = QtWidgets.QSizePolicy.Policy
        self._browse.setSizePolicy(policy.Fixed, policy.Ignored)
        self._browse.clicked.connect(self.browse)
        layout.addWidget(self._combo, 1)
        layout.addWidget(self._browse)
        self.setSizePolicy(policy.Expanding, policy.Fixed)
        self._valid = True
        self._combo.lineEdit().textChanged.connect(self.currentPathChanged.emit)

    def comboBox(self) -> QtWidgets.QComboBox:
        return self._combo

    currentPath = Property(
        str,
        lambda self: self._combo.lineEdit().property("text"),
        lambda self, path: self._combo.lineEdit().setText(path),
        notify=currentPathChanged,
    )
    showBrowseButton = Property(
        bool, lambda self: self._browse.isVisibleTo(self), lambda self, shown: self._browse.setVisible(shown)
    )
    showHistoryButton = stored(bool, "showHistoryButton", True)

    def setCurrentPath(self, path: str) -> None:
        self.currentPath = path

    def browse(self) -> None:
        start = self.currentPath or os.getcwd()
        wanted = ";;".join(self.nameFilters)
        if not self.filters & self.Files:
            path = QtWidgets.QFileDialog.getExistingDirectory(self, "Select a directory...", start)
        elif self.filters & self.Writable:
            path = QtWidgets.QFileDialog.getSaveFileName(self, "Select a file to save ", start, wanted)
        else:
            path = QtWidgets.QFileDialog.getOpenFileName(self, "Open a file", start, wanted)
        if path:
            self.setCurrentPath(path)

    def _key(self) -> str:
        return "ctkPathLineEdit/" + (self.settingKey or str(self.property("objectName")))

    def _on_settingKey(self, _key) -> None:
        self.retrieveHistory()

    def retrieveHistory(self) -> None:
        """The paths of earlier sessions; the last one is taken where there is no path yet."""
        path = self.currentPath
        history = QtCore.QSettings().value(self._key()) or []
        self._combo.clear()
        self._combo.addItems([history] if isinstance(history, str) else list(history)[: self._HISTORY])
        if path:
            self.setCurrentPath(path)

    def addCurrentPathToHistory(self) -> None:
        if not self.currentPath:
            return
        path = self.currentPath
        history = QtCore.QSettings().value(self._key()) or []
        history = [history] if isinstance(history, str) else list(history)
        history = [path, *(entry for entry in history if entry != path)]
        QtCore.QSettings().setValue(self._key(), history)
        self._combo.clear()
        self._combo.addItems(history[: self._HISTORY])
        self._combo.setCurrentIndex(0)


class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder and opens a folder dialog."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)
    caption = stored(str, "caption", "")
    directory = stored(str, "directory", ".", "directoryChanged")

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._button = QtWidgets.QPushButton(".")
        self._button.clicked.connect(self.browse)
        layout.addWidget(self._button)

    def _on_directory(self, value: str) -> None:
        self._button.setText(value)

    def browse(self) -> None:
        path = QtWidgets.QFileDialog.getExistingDirectory(self, self.caption, self.directory)
        if path:
            self.directory = path
            self.directorySelected.emit(path)


class ctkMessageBox(QtWidgets.QMessageBox):
    """Never waits for a user (see ``dialogs``); `shown` and `answer` are the short way to both."""

    dontShowAgain = stored(bool, "dontShowAgain", False)
    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")
    dontShowAgainVisible = stored(bool, "dontShowAgainVisible", False)
    shown: list[tuple[str, str]] = []  # noqa: RUF012 (shared on purpose: dialogs are made deep inside slicer.util)
    answer = QtWidgets.QMessageBox.StandardButton.Ok

    def setDontShowAgain(self, value: bool) -> None:
        self.dontShowAgain = value


WIDGETS = {name: value for name, value in list(globals().items()) if name.startswith("ctk") and isinstance(value, type)}
