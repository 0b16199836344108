"""The table of nodules: a QTableWidget that shows rows of the review, sorts them, and keeps the selection."""

from contextlib import contextmanager
from dataclasses import replace

import qt

from .nodules_columns import Cell, NoduleColumns

SWATCH_PX = 12
ARROW_PX = 16
PADDING_PX = 8
NAME_MAX_PX = 150
"""A longer name is cut off with dots; the tooltip has all of it."""
FEWEST_ROWS, MOST_ROWS = 4, 10
"""The table is as high as its rows within these; beyond, it scrolls."""
PENDING, REJECTED = "pending", "rejected"

_NO_CELL = Cell("", None)
_BLANK = (None, None, None)  # status, colour and cells of a row that shows nothing


class NodulesTable:
    """Rows by their segment IDs.

    widget - the QTableWidget, made by the .ui file.
    onSelected - called when the user has changed the selection, not when the program has.
    onRenamed - called with a segment ID and the new name when the user has edited a name in its cell.

    Qt's own sorting compares what is shown, so that numbers would have to be shown as Qt formats them; here the rows
    are sorted by their values, before they are shown.
    """

    def __init__(self, widget, onSelected, onRenamed):
        self.widget = widget
        self._onRenamed = onRenamed
        self._columns = NoduleColumns()
        self._rows = []
        self._colors = {}
        self._ids = []
        self._shown = []
        self._icons = {}
        self.showRejected = True
        self._regular = qt.QFont(widget.font)
        self._italic = qt.QFont(widget.font)
        self._italic.setItalic(True)
        self._metrics = [qt.QFontMetrics(font) for font in (self._regular, self._italic)]
        self._widths = {}
        self._notEditable = qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled
        self._right = qt.Qt.AlignRight | qt.Qt.AlignVCenter
        self._build(onSelected)

    def _build(self, onSelected):
        columns = self._columns.columns
        widget = self.widget
        widget.setColumnCount(len(columns))
        for number, column in enumerate(columns):
            item = qt.QTableWidgetItem(column.title)
            item.setToolTip(column.tip)
            widget.setHorizontalHeaderItem(number, item)
        header = widget.horizontalHeader()
        header.setFixedHeight(2 * widget.fontMetrics().height() + 8)
        header.setSortIndicatorShown(True)
        header.setSectionsClickable(True)
        header.setSortIndicator(-1, qt.Qt.AscendingOrder)
        header.setHighlightSections(False)
        header.connect("sortIndicatorChanged(int,Qt::SortOrder)", self.onSortChanged)
        marks = widget.verticalHeader()
        marks.setHighlightSections(False)
        marks.setDefaultSectionSize(widget.fontMetrics().height() + 6)
        marks.setSectionResizeMode(qt.QHeaderView.Fixed)
        widget.connect("itemSelectionChanged()", onSelected)
        widget.connect("itemChanged(QTableWidgetItem*)", self.onItemChanged)
        self._fit()

    # What is shown

    @property
    def words(self):
        """The words for sides, types and statuses (NoduleColumns)."""
        return self._columns

    @property
    def ids(self):
        """Segment IDs in the order that is shown; rejected ones only where they are listed."""
        return list(self._ids)

    def show(self, rows, colors):
        """Show rows of the review.

        rows - ReviewRows, in the order of the segmentation.
        colors - (red, green, blue) in 0..1 by segment ID.

        Selection and current row stay with their segments as far as these are still listed; nothing is called.
        """
        self._rows, self._colors = list(rows), dict(colors)
        self._refill()

    def setShowRejected(self, on):
        self.showRejected = bool(on)
        self._refill()

    def sortBy(self, column, descending=False):
        """Sort by a column's number, -1: the order of the segmentation."""
        self.widget.horizontalHeader().setSortIndicator(
            column, qt.Qt.DescendingOrder if descending else qt.Qt.AscendingOrder
        )

    def onSortChanged(self):
        self._refill()
        self._fit()  # room for the arrow, also where no row has moved

    def _refill(self):
        selected, current = self.selected(), self.current()
        listed = self._sorted(
            [(row, self._columns.cells(row)) for row in self._rows if self.showRejected or row.status != REJECTED]
        )
        faint = qt.QBrush(self._faint())
        with self._silent():
            changed = self.widget.rowCount != len(listed)
            self.widget.setRowCount(len(listed))
            del self._shown[len(listed) :]
            for number, (row, cells) in enumerate(listed):
                changed = self._showRow(number, row, cells, faint if row.status == REJECTED else None) or changed
            self._ids = [row.segment_id for row, _cells in listed]
            if changed:
                self._fit()
            self._select(selected, current)

    @contextmanager
    def _silent(self):
        """The widget's signals are for what the user does."""
        before = self.widget.blockSignals(True)
        try:
            yield
        finally:
            self.widget.blockSignals(before)

    def _sorted(self, listed):
        header = self.widget.horizontalHeader()
        column = header.sortIndicatorSection()
        if not 0 <= column < len(self._columns.columns):
            return listed
        known = [pair for pair in listed if pair[1][column].key is not None]
        unknown = [pair for pair in listed if pair[1][column].key is None]
        descending = header.sortIndicatorOrder() == qt.Qt.DescendingOrder
        return sorted(known, key=lambda pair: pair[1][column].key, reverse=descending) + unknown

    def _showRow(self, number, row, cells, brush):
        """Write what is different from what the row shows; whether anything was."""
        color = self._colors.get(row.segment_id, (0.5, 0.5, 0.5))
        isNew = number == len(self._shown)
        if isNew:
            self._shown.append(_BLANK)
        status, shownColor, shownCells = self._shown[number]
        if (status, shownColor, shownCells) == (row.status, color, cells):
            return False
        refaint = (status == REJECTED) != (row.status == REJECTED)
        for column, cell in enumerate(cells):
            shown = shownCells[column] if shownCells else _NO_CELL
            if isNew or cell != shown or refaint:
                item = self._newItem(column) if isNew else self.widget.item(number, column)
                self._write(item, cell, shown)
                if refaint:
                    item.setData(qt.Qt.ForegroundRole, brush)
                if isNew:  # filled before, so that the view hears of it once
                    self.widget.setItem(number, column, item)
        if color != shownColor:
            self.widget.item(number, 0).setIcon(self._icon(color))
        if status != row.status:
            mark = qt.QTableWidgetItem(self._columns.marks[row.status])
            mark.setToolTip(self._columns.statuses[row.status])
            mark.setTextAlignment(qt.Qt.AlignCenter)
            self.widget.setVerticalHeaderItem(number, mark)
        self._shown[number] = (row.status, color, cells)
        return True

    def _write(self, item, cell, shown):
        if cell.text != shown.text:
            item.setText(cell.text)
        if cell.tip != shown.tip:
            item.setToolTip(cell.tip)
        if cell.marked != shown.marked:
            item.setFont(self._italic if cell.marked else self._regular)

    def _faint(self):
        """Colour of what is rejected: half way from text to ground, which can be read in dark and light."""
        palette = self.widget.palette
        text, ground = palette.color(qt.QPalette.Text), palette.color(qt.QPalette.Base)
        return qt.QColor(*((getattr(text, part)() + getattr(ground, part)()) // 2 for part in ("red", "green", "blue")))

    def _newItem(self, column):
        item = qt.QTableWidgetItem()
        if column > 0:
            item.setFlags(self._notEditable)
        if self._columns.columns[column].number:
            item.setTextAlignment(self._right)
        return item

    def _icon(self, color):
        """A square in a segment's colour, the same in a selected row."""
        if color not in self._icons:
            pixmap = qt.QPixmap(SWATCH_PX, SWATCH_PX)
            pixmap.fill(qt.QColor.fromRgbF(*color))
            icon = qt.QIcon(pixmap)
            icon.addPixmap(pixmap, qt.QIcon.Selected)
            self._icons[color] = icon
        return self._icons[color]

    def _fit(self):
        """Columns as wide as their contents, the table as high as its rows within limits.

        Qt's own resizing keeps room for the arrow of the sort order in every column, a fifth of the panel's width.
        """
        widget = self.widget
        sorting = widget.horizontalHeader().sortIndicatorSection()
        for number, column in enumerate(self._columns.columns):
            texts = {cells[number].text for _status, _color, cells in self._shown}
            width = max((self._width(text) for text in texts), default=0)
            if number == 0:
                width = min(width + SWATCH_PX + 8, NAME_MAX_PX)
            title = max(self._width(line) for line in column.title.splitlines())
            widget.setColumnWidth(number, max(width, title + (ARROW_PX if number == sorting else 0)) + PADDING_PX)
        rows = min(max(widget.rowCount, FEWEST_ROWS), MOST_ROWS)
        height = widget.horizontalHeader().minimumHeight + rows * widget.verticalHeader().defaultSectionSize
        height += widget.style().pixelMetric(qt.QStyle.PM_ScrollBarExtent) + 2 * widget.frameWidth
        widget.setFixedHeight(height)

    def _width(self, text):
        """Width of a text in px, in italics where these are wider."""
        if text not in self._widths:
            self._widths[text] = max(metrics.horizontalAdvance(text) for metrics in self._metrics)
        return self._widths[text]

    # Selection

    def selected(self):
        """IDs of the selected segments, in the order that is shown."""
        return [key for number, key in enumerate(self._ids) if self.widget.item(number, 0).isSelected()]

    def current(self):
        """ID of the row that the keyboard is on, None where it is on none."""
        number = self.widget.currentRow()
        return self._ids[number] if 0 <= number < len(self._ids) else None

    def select(self, ids, current=None):
        """Select these segments and nothing else; IDs that are not listed are left out; nothing is called.

        current - where the keyboard goes on from; default: the first of them.
        """
        with self._silent():
            self._select(ids, current)

    def _select(self, ids, current=None):
        rows = {key: number for number, key in enumerate(self._ids)}
        wanted = [rows[key] for key in ids if key in rows]
        number = rows.get(current, wanted[0] if wanted else -1)
        model, selection = self.widget.model(), self.widget.selectionModel()
        if self.widget.currentRow() != number:
            index = model.index(number, 0) if number >= 0 else qt.QModelIndex()
            selection.setCurrentIndex(index, qt.QItemSelectionModel.NoUpdate)
        if [row for row in range(len(self._ids)) if self.widget.item(row, 0).isSelected()] != sorted(wanted):
            selection.clearSelection()
            for row in wanted:
                selection.select(model.index(row, 0), qt.QItemSelectionModel.Select | qt.QItemSelectionModel.Rows)
            if wanted:
                self.widget.scrollToItem(self.widget.item(number if number >= 0 else wanted[0], 0))

    def neighbour(self, ids):
        """The row to go on with when these are gone: the next one below them, else above; None where none is left."""
        leaving = [number for number, key in enumerate(self._ids) if key in set(ids)]
        if not leaving:
            return None
        below = [key for key in self._ids[leaving[-1] + 1 :] if key not in ids]
        above = [key for key in self._ids[: leaving[-1]] if key not in ids]
        return below[0] if below else above[-1] if above else None

    def nextPending(self):
        """The next row to review below the current one, from the top again after the last; None where there is none."""
        pending = {row.segment_id for row in self._rows if row.status == PENDING}
        start = self.widget.currentRow() + 1
        order = self._ids[start:] + self._ids[:start]
        return next((key for key in order if key in pending), None)

    # Names

    def edit(self, segmentId):
        """Let the user edit a name in its cell."""
        if segmentId in self._ids:
            item = self.widget.item(self._ids.index(segmentId), 0)
            self.widget.setCurrentItem(item, qt.QItemSelectionModel.NoUpdate)
            self.widget.editItem(item)

    def onItemChanged(self, item):
        if item.column() != 0:
            return
        number, text = item.row(), item.text().strip()
        segmentId, (status, color, cells) = self._ids[number], self._shown[number]
        typed = replace(cells[0], text=item.text())
        self._shown[number] = (status, color, [typed, *cells[1:]])  # so that the name is written again, old or new
        try:
            if text and text != cells[0].text:
                self._onRenamed(segmentId, text)
        finally:
            self._refill()
