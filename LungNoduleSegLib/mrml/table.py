"""The measurements as a table node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtk

if TYPE_CHECKING:
    from .read import SceneNodules
    from .transaction import SceneTransaction


def fill_table(transaction: SceneTransaction, node, nodules: SceneNodules) -> None:
    """Give the table node one row per nodule, with the columns of the CSV file and the segment's name."""
    before, lock = node.GetTable(), node.GetLocked()

    def restore() -> None:
        node.SetAndObserveTable(before)
        node.SetLocked(lock)

    transaction.on_error(restore)
    # A new vtkTable instead of a change of the old one: the node shows either the old rows or all of the new ones.
    node.SetAndObserveTable(measurement_table(nodules))
    node.SetLocked(True)  # measured values; editing one would not change the nodule


def measurement_table(nodules: SceneNodules) -> vtk.vtkTable:
    """A vtkTable with typed columns: text, whole numbers or floating point."""
    from LungNoduleSegLib.nodules.table import COLUMNS, rows

    records = [dict(row) for row in rows(nodules.nodules)]
    table = vtk.vtkTable()
    table.AddColumn(_column("name", list(nodules.names)))
    for column in COLUMNS:
        if column != "name":
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
