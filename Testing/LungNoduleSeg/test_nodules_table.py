"""The table of nodules: what its cells say, how it sorts, and that the selection stays with its segments."""

from __future__ import annotations

import random
import sys
import time

import pytest
from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from slicer_harness.application import PANEL

from LungNoduleSegLib.nodules.bands import NOT_A_DIAGNOSIS
from Testing.LungNoduleSeg.fake_review import nodule, row

NAME, SIDE, TYPE, AXES, DIAMETER, VOLUME, HU, PROBABILITY, BAND, STATUS = range(10)
KEY = QtCore.Qt.Key


@pytest.fixture(autouse=True)
def panel_on_path(application, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(PANEL.parent)])


@pytest.fixture
def table():
    """A NodulesTable in a window, and what it has told."""
    from LungNoduleSegPanel.nodules_table import NodulesTable

    widget = QtWidgets.QTableWidget()
    widget.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
    told = []
    made = NodulesTable(widget, lambda: told.append("selected"), lambda *what: told.append(what))
    made.told = told
    widget.show()
    yield made
    widget.close()


def texts(table, column):
    return [table.widget.item(number, column).text() for number in range(table.widget.rowCount)]


def item(table, segment_id, column):
    return table.widget.item(table.ids.index(segment_id), column)


def show(table, rows, colors=None):
    table.show(rows, colors or {})
    return table


def test_cells_say_what_was_measured(table):
    part_solid = nodule(
        7, 22.44, 18.06, attenuation="part-solid", side="left", probability=0.914, mean_hu=-420.4, solid_mm=4.2
    )
    show(table, [row(7, part_solid, status="accepted")])
    shown = [table.widget.item(0, column).text() for column in range(table.widget.columnCount)]
    assert shown[:4] == ["Nodule 7", "left", "part-solid", "22.4 × 18.1"]
    assert shown[4:] == ["20.2", "3806", "-420", "0.91", "≥6 mm, solid part <6 mm", "accepted"]
    assert item(table, "s7", TYPE).toolTip() == "Longest axis of the solid part: 4.2 mm."
    assert "Found by model-2-compact." in item(table, "s7", NAME).toolTip()
    assert table.widget.verticalHeaderItem(0).text() == "✓"


def test_every_header_explains_itself_and_numbers_are_on_the_right(table):
    show(table, [row(1)])
    tips = [table.widget.horizontalHeaderItem(column).toolTip() for column in range(table.widget.columnCount)]
    assert len(set(tips)) == 10 and all(len(tip) > 20 for tip in tips)
    right = QtCore.Qt.AlignmentFlag.AlignRight
    aligned = [bool(table.widget.item(0, c).textAlignment() & right.value) for c in range(10)]
    assert [column for column, on in enumerate(aligned) if on] == [AXES, DIAMETER, VOLUME, HU, PROBABILITY]


def test_the_band_comes_with_its_sentence(table):
    show(table, [row(1), row(2, nodule(2, attenuation="calcified"))])
    tip = item(table, "s1", BAND).toolTip()
    assert tip.startswith("Fleischner 2017: solid, mean diameter 9 mm") and NOT_A_DIAGNOSIS in tip
    assert item(table, "s2", BAND).text() == "" and "no size band" in item(table, "s2", BAND).toolTip()


def test_what_the_user_has_made_is_marked(table):
    show(table, [row(1), row(2, chosen="ground-glass"), row(3, edited=True, kind="SEMIAUTOMATIC")])
    italic = {(key, column): item(table, key, column).font().italic() for key in table.ids for column in range(10)}
    assert [place for place, on in italic.items() if on] == [("s2", TYPE), ("s3", NAME)]
    assert item(table, "s2", TYPE).toolTip() == "Chosen by hand. Measured: solid."
    assert "changed by hand" in item(table, "s3", NAME).toolTip()
    show(table, [row(1), row(2), row(3)])
    assert not item(table, "s2", TYPE).font().italic() and item(table, "s2", TYPE).toolTip() == ""


def test_a_segment_drawn_by_hand_has_no_probability(table):
    show(table, [row(1, kind="MANUAL", model="")])
    assert item(table, "s1", PROBABILITY).text() == "" and "no model" in item(table, "s1", PROBABILITY).toolTip()
    assert "Drawn by hand." in item(table, "s1", NAME).toolTip()


def test_rejected_rows_are_fainter_than_the_text_and_differ_from_the_ground(table):
    show(table, [row(1), row(2, status="rejected")])
    ground = table.widget.palette.color(QtGui.QPalette.ColorRole.Base).lightness()
    text = table.widget.palette.color(QtGui.QPalette.ColorRole.Text).lightness()
    faint = item(table, "s2", NAME).foreground().color().lightness()
    assert abs(faint - ground) > 60 and abs(faint - text) > 60
    assert item(table, "s1", NAME).data(QtCore.Qt.ItemDataRole.ForegroundRole) is None
    show(table, [row(1), row(2)])
    assert item(table, "s2", NAME).data(QtCore.Qt.ItemDataRole.ForegroundRole) is None


def test_the_swatch_is_the_segments_colour(table):
    show(table, [row(1), row(2)], {"s1": (1.0, 0.0, 0.0), "s2": (0.0, 0.0, 1.0)})
    for mode in (QtGui.QIcon.Mode.Normal, QtGui.QIcon.Mode.Selected):
        drawn = [
            item(table, key, NAME).icon().pixmap(12, 12, mode).toImage().pixelColor(5, 5).name() for key in table.ids
        ]
        assert drawn == ["#ff0000", "#0000ff"]
    show(table, [row(1), row(2)], {"s1": (0.0, 1.0, 0.0), "s2": (0.0, 0.0, 1.0)})
    assert item(table, "s1", NAME).icon().pixmap(12, 12).toImage().pixelColor(5, 5).name() == "#00ff00"


@pytest.mark.parametrize(
    ("column", "order"),
    [
        (NAME, ["s2", "s3", "s1", "s10"]),
        (TYPE, ["s10", "s2", "s1", "s3"]),
        (AXES, ["s2", "s10", "s1", "s3"]),
        (DIAMETER, ["s2", "s10", "s1", "s3"]),
        (VOLUME, ["s2", "s1", "s10", "s3"]),
        (HU, ["s2", "s1", "s10", "s3"]),
        (PROBABILITY, ["s3", "s2", "s10", "s1"]),
        (BAND, ["s2", "s1", "s3", "s10"]),
        (STATUS, ["s3", "s10", "s2", "s1"]),
    ],
)
def test_sorting_is_by_value_and_what_has_none_comes_last(table, column, order):
    rows = [
        row(1, nodule(1, 9.0, 7.0, volume_mm3=105.0, mean_hu=-9.0), name="Nodule 2", status="rejected", kind="MANUAL"),
        row(2, nodule(2, 4, 4, attenuation="ground-glass", volume_mm3=9.0, mean_hu=-70), name="a", status="accepted"),
        row(3, nodule(3, 100.0, 8.0, volume_mm3=2000.0, mean_hu=40.0, probability=0.05), name="nodule 1"),
        row(10, nodule(10, 8.8, 7.1, attenuation="calcified", volume_mm3=1000.0, mean_hu=5.0), name="Nodule 10"),
    ]  # fmt: skip
    show(table, rows)
    assert table.ids == ["s1", "s2", "s3", "s10"]
    table.sortBy(column)
    assert table.ids == order
    table.sortBy(column, True)
    keys = {one.segment_id: table.words.cells(one)[column].key for one in rows}
    falling = [keys[key] for key in table.ids]
    known = [keys[key] for key in order if keys[key] is not None]
    assert falling == known[::-1] + [None] * (len(order) - len(known))
    table.sortBy(-1)
    assert table.ids == ["s1", "s2", "s3", "s10"]


def test_a_click_on_a_header_sorts(table):
    show(table, [row(1, nodule(1, 9.0)), row(2, nodule(2, 100.0)), row(3, nodule(3, 20.0))])
    header = table.widget.horizontalHeader()
    place = QtCore.QPoint(header.sectionViewportPosition(AXES) + 10, 10)
    for order in (["s1", "s3", "s2"], ["s2", "s3", "s1"]):
        QtTest.QTest.mouseClick(header.viewport(), QtCore.Qt.MouseButton.LeftButton, pos=place)
        assert table.ids == order


def test_selection_and_keyboard_stay_with_their_segments(table):
    rows = [row(number, nodule(number, 20.0 - number)) for number in range(1, 9)]
    show(table, rows)
    table.select(["s3", "s5"], current="s5")
    chance = random.Random(3)
    for _ in range(5):
        chance.shuffle(rows)
        show(table, rows)
        table.sortBy(chance.choice([-1, NAME, AXES, STATUS]), chance.random() < 0.5)
        assert sorted(table.selected()) == ["s3", "s5"] and table.current() == "s5"
    show(table, [one for one in rows if one.segment_id != "s5"])
    assert table.selected() == ["s3"]
    show(table, [])
    assert table.selected() == [] and table.current() is None
    assert table.told == []


def test_arrow_keys_tell_and_follow_the_order_that_is_shown(table):
    show(table, [row(1, nodule(1, 30.0)), row(2, nodule(2, 10.0)), row(3, nodule(3, 20.0))])
    table.sortBy(AXES)
    table.select(["s2"])
    assert table.told == []
    seen = []
    for key in (KEY.Key_Down, KEY.Key_Down, KEY.Key_Up):
        QtTest.QTest.keyClick(table.widget, key)
        seen += table.selected()
    assert seen == ["s3", "s1", "s3"] and table.told == ["selected"] * 3


def test_rejected_rows_can_be_left_out(table):
    show(table, [row(1), row(2, status="rejected"), row(3)])
    table.select(["s2", "s3"])
    table.setShowRejected(False)
    assert table.ids == ["s1", "s3"] and table.selected() == ["s3"]
    table.setShowRejected(True)
    assert table.ids == ["s1", "s2", "s3"] and table.selected() == ["s3"]


def test_next_to_review_goes_round(table):
    show(table, [row(1), row(2, status="accepted"), row(3), row(4, status="rejected")])
    assert table.nextPending() == "s1"
    for current, following in (("s1", "s3"), ("s2", "s3"), ("s3", "s1"), ("s4", "s1")):
        table.select([current])
        assert table.nextPending() == following
    show(table, [row(2, status="accepted")])
    assert table.nextPending() is None


def test_the_row_after_those_that_leave(table):
    show(table, [row(number) for number in range(1, 6)])
    assert table.neighbour(["s2", "s3"]) == "s4"
    assert table.neighbour(["s4", "s5"]) == "s3"
    assert table.neighbour(table.ids) is None
    assert table.neighbour([]) is None


def type_into_cell(table, text, key=KEY.Key_Return):
    table.edit("s2")
    editor = table.widget.findChild(QtWidgets.QLineEdit)
    editor.selectAll()
    QtTest.QTest.keyClicks(editor, text)
    QtTest.QTest.keyClick(editor, key)
    QtWidgets.QApplication.processEvents()  # Qt takes the text over when the key has been dealt with
    assert table.widget.state() == QtWidgets.QAbstractItemView.State.NoState


def test_a_name_is_edited_in_its_cell(table):
    show(table, [row(1), row(2)])
    type_into_cell(table, "  Left apex ")
    assert table.told == [("s2", "Left apex")]
    # Nobody has renamed the segment: the cell shows its name again.
    assert texts(table, NAME) == ["Nodule 1", "Nodule 2"]
    show(table, [row(1), row(2, name="Left apex")])
    assert texts(table, NAME) == ["Nodule 1", "Left apex"]


@pytest.mark.parametrize(
    ("text", "key"), [("Nodule 2", KEY.Key_Return), ("   ", KEY.Key_Return), ("New", KEY.Key_Escape)]
)
def test_no_new_name_is_no_renaming(table, text, key):
    show(table, [row(1), row(2)])
    type_into_cell(table, text, key)
    assert table.told == [] and texts(table, NAME) == ["Nodule 1", "Nodule 2"]


def test_only_names_can_be_edited(table):
    show(table, [row(1)])
    editable = QtCore.Qt.ItemFlag.ItemIsEditable
    assert [bool(table.widget.item(0, c).flags() & editable) for c in range(10)] == [True] + [False] * 9


def test_it_fits_a_narrow_panel(table):
    show(table, [row(1, name="A name that is far longer than any column should be")])
    assert table.widget.columnWidth(NAME) < 180
    assert sum(table.widget.columnWidth(column) for column in (NAME, SIDE, TYPE, AXES)) < 420
    for column in range(1, 10):
        needed = table.widget.fontMetrics().horizontalAdvance(texts(table, column)[0])
        assert table.widget.columnWidth(column) >= needed + 8
    four = table.widget.property("height")
    show(table, [row(number) for number in range(1, 200)])
    ten = table.widget.property("height")
    assert ten - four == 6 * table.widget.verticalHeader().property("defaultSectionSize")


def test_many_rows_are_shown_at_once(table):
    rows = [row(number, status=("pending", "accepted", "rejected")[number % 3]) for number in range(1, 201)]
    seconds = {"first": [], "one changed": []}
    for _ in range(4):
        show(table, [])
        begin = time.process_time()
        show(table, rows)
        seconds["first"].append(time.process_time() - begin)
        changed = [*rows[:99], row(100, edited=True), *rows[100:]]
        begin = time.process_time()
        show(table, changed)
        seconds["one changed"].append(time.process_time() - begin)
    assert table.widget.rowCount == 200
    assert min(seconds["first"]) < 0.1 and min(seconds["one changed"]) < 0.05
