"""What the project says of itself in several places agrees, and its tree is one that Slicer's catalog accepts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import LungNoduleSegLib
from Testing.packaging.product import ROOT

# Of version 1.0.2 of the schema of Slicer's catalog entries.
_CATALOG_REQUIRED = {"$schema", "category", "scm_url"}
_CATALOG_OPTIONAL = {"scm_revision", "scm_type", "build_dependencies", "build_subdirectory", "enabled", "tier"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def cmake_field(name: str) -> str:
    found = re.search(rf'^set\(EXTENSION_{name} "([^"\n]*)"\)$', text("CMakeLists.txt"), re.MULTILINE)
    assert found is not None, f"EXTENSION_{name} must be quoted, on one line"
    return found[1]


def test_version_is_the_same_everywhere():
    version = LungNoduleSegLib.__version__
    assert re.search(rf"^version: {re.escape(version)}$", text("CITATION.cff"), re.MULTILINE)
    changes = text("CHANGELOG.md")
    assert "## [Unreleased]" in changes or f"## [{version}]" in changes


def test_address_is_the_same_everywhere():
    home = cmake_field("HOMEPAGE")
    assert json.loads(text("LungNoduleSeg.json"))["scm_url"] == f"{home}.git"
    assert f'repository-code: "{home}"' in text("CITATION.cff")
    assert f'Homepage = "{home}"' in text("pyproject.toml")


def test_icon_and_screenshots_exist_in_the_tree():
    raw = cmake_field("HOMEPAGE").replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
    for url in (cmake_field("ICONURL"), *cmake_field("SCREENSHOTURLS").split()):
        assert url.startswith(raw)
        assert (ROOT / url.removeprefix(raw)).is_file(), url


def test_catalog_entry_has_the_schemas_keys():
    entry = json.loads(text("LungNoduleSeg.json"))
    assert text("LungNoduleSeg.json") == json.dumps(entry, indent=2) + "\n"  # as the catalog's own check formats it
    assert entry.keys() >= _CATALOG_REQUIRED
    assert entry.keys() <= _CATALOG_REQUIRED | _CATALOG_OPTIONAL
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert 1 <= entry["tier"] <= 5


def test_home_page_has_what_the_catalog_asks_for():
    """Of the checklist in the catalog's pull request template; docs/slicer/catalog.md has all of it."""
    page = text("README.md")
    title, description = re.search(r"^# (.+)\n(.+)$", page, re.MULTILINE).groups()
    assert title == "LungNoduleSeg"
    assert 1 <= len(re.findall(r"[.!?](?: |$)", description)) <= 2  # sentences
    assert re.search(r"^!\[[^\]]{20,}\]\(Resources/Screenshots/", page, re.MULTILINE)  # a picture, and what it shows
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for module in (path.stem for path in (ROOT / "LungNoduleSeg").glob("*.py")):
        assert f"`{module}`" in sections["Modules"]
    assert "docs/slicer/tutorial.md" in sections["Modules"]
    assert {"Install", "Publications"} <= sections.keys()
    assert "Apache-2.0" in sections["Licence and citation"]


def test_a_tier_above_one_rests_on_tutorial_and_sample_data():
    if json.loads(text("LungNoduleSeg.json"))["tier"] < 3:
        return
    tutorial, sample = text("docs/slicer/tutorial.md"), text("LungNoduleSeg/LungNoduleSegPanel/sample_data.py")
    name = re.search(r'^SAMPLE_NAME = "(\w+)"$', sample, re.MULTILINE)
    assert name is not None and name[1] in tutorial
    assert len(re.findall(r"^## \d+\. ", tutorial, re.MULTILINE)) >= 3


def test_attribution_names_data_articles_and_thesis():
    notice, citation = text("NOTICE"), text("CITATION.cff")
    for doi in ("10.7937/K9/TCIA.2015.LO9QL9SX", "10.1118/1.3528204"):
        assert doi in notice
        assert doi in citation
    for document in (notice, citation):
        assert "賴亭諭" in document
        assert "National Cheng Kung University" in document
    assert "CC BY 3.0" in notice


def test_tree_stays_under_the_catalogs_limit():
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listing.split("\0") if name]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 100 * 1024**2


@pytest.mark.parametrize("document", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")))
def test_links_between_documents_lead_somewhere(document: str):
    _check_links(ROOT / document)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_first_pages_lead_somewhere(document: str):
    _check_links(ROOT / document)


def _check_links(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (path.parent / target).exists()] == []
