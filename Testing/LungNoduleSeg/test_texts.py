"""The module's help and acknowledgement, and that the tutorial calls the panel's parts by the names that they have."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from slicer_harness.application import PANEL

ROOT = PANEL.parents[1]
TUTORIAL = ROOT / "docs" / "slicer" / "tutorial.md"


@pytest.fixture
def texts(application, monkeypatch):
    monkeypatch.syspath_prepend(str(PANEL.parent))
    from LungNoduleSegPanel import texts

    return texts


class Html(HTMLParser):
    """The links of a text, its words, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.words, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.links += [value for name, value in attributes if name == "href"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def test_help_leads_to_pages_that_are_there_and_says_research_use(texts):
    homepage = re.search(r'EXTENSION_HOMEPAGE "(.*)"', (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    assert homepage is not None and homepage[1] == texts.HOMEPAGE
    for text in (texts.HELP, texts.ACKNOWLEDGEMENT):
        page = Html(text)
        assert page.open == [] and "{" not in page.words
        assert page.links
        for link in page.links:
            if link.startswith(f"{texts.HOMEPAGE}/blob/main/"):
                assert (ROOT / link.removeprefix(f"{texts.HOMEPAGE}/blob/main/")).is_file(), link
            else:
                assert link == texts.HOMEPAGE or link.startswith("https://doi.org/"), link
    assert "Research use only" in Html(texts.HELP).words


def test_acknowledgement_names_thesis_data_and_licence_as_notice_does(texts):
    words = " ".join(Html(texts.ACKNOWLEDGEMENT).words.split())
    notice = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())
    for name in ("賴亭諭", "徐禕佑", "National Cheng Kung University", "CC BY 3.0", "10.7937/K9/TCIA.2015.LO9QL9SX"):
        assert name in words and name in notice
    assert "Apache License" in words


def shown_texts() -> set[str]:
    """Every text of the panel: of its .ui files, and of its code."""
    found = set()
    for path in (PANEL.parent / "Resources" / "UI").glob("*.ui"):
        found |= {element.text or "" for element in ElementTree.parse(path).iter("string")}
    for path in PANEL.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return {text.rstrip(":") for text in found}


def test_the_tutorial_calls_the_panels_parts_by_their_names():
    named = set(re.findall(r"\*\*([^*]+)\*\*", TUTORIAL.read_text(encoding="utf-8")))
    assert len(named) > 10
    assert named - shown_texts() == set()
