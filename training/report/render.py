"""A document to one HTML file and one Markdown file."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from training.report.figures import Picture
from training.report.tables import Table


@dataclass(frozen=True)
class Section:
    """Part of a report: paragraphs, then tables, then pictures."""

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Document:
    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...] = field(default=())

    @property
    def pictures(self) -> list[Picture]:
        return [picture for section in self.sections for picture in section.pictures]


def _cell(text: str) -> str:
    """Text that stays inside its cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _render(document: Document, template: str, *, escape: bool) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=escape, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    environment.filters["cell"] = _cell
    return environment.get_template(template).render(
        title=document.title, lead=document.lead, sections=document.sections
    )


def to_html(document: Document) -> str:
    """One file with the pictures inside."""
    return _render(document, "report.html.j2", escape=True)


def to_markdown(document: Document) -> str:
    """Text whose pictures lie in ``figures/`` beside it."""
    return _render(document, "report.md.j2", escape=False)
