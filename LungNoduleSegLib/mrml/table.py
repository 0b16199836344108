"""The measurements as a table node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .rows import ReviewRow
    from .transaction import SceneTransaction


def fill_table(transaction: SceneTransaction, node, rows: Sequence[ReviewRow]) -> None:
    """Give the table node one line per nodule: name, status, type and band of the review, and the measurements."""
    before, lock = node.GetTable(), node.GetLocked()

    def restore() -> None:
        node.SetAndObserveTable(before)
        node.SetLocked(lock)

    transaction.on_error(restore)
    # A new vtkTable instead of a change of the old one: the node shows either the old rows or all of the new ones.
    node.SetAndObserveTable(measurement_table(rows))
    node.SetLocked(True)  # measured values; editing one would not change the nodule


def measurement_table(rows: Sequence[ReviewRow]) -> vtk.vtkTable:
    """A vtkTable with typed columns: text, whole numbers or floating point."""
    from .cells import COLUMNS, cells

    records = cells(rows)
    table = vtk.vtkTable()
    for column in COLUMNS:
        table.AddColumn(_column(column, [record[column] for record in records]))
    return table


def _column(name: str, values: list) -> vtk.vtkAbstractArray:
    filled = [value for value in values if value is not None and value != ""]
    if filled and all(isinstance(value, int) for value in filled) and len(filled) == len(values):
        array = vtk.vtkIntArray()
    elif filled and all(isinstance(value, (int, float)) for value in filled):
        array = vtk.vtkDoubleArray()
        values = [float("nan") if value is None or value == "" else float(value) for value in values]
    else:
        array = vtk.vtkStringArray()
        values = ["" if value is None else str(value) for value in values]
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
    return array
