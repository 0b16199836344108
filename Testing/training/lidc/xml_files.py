"""Annotation files as LIDC-IDRI delivers them, written for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.lidc.database import Annotation, Contour
from training.lidc.findings import Finding

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="1.3.6.1.4.1.14519.5.2.1.6279.6001.1308168927827.0" xmlns="http://www.nih.gov">
 <ResponseHeader>
  <Version>1.7</Version>
  <MessageId>1</MessageId>
  <TaskDescription>Second unblinded read</TaskDescription>
  <CtImageFile>removed</CtImageFile>
  <SeriesInstanceUid>{series}</SeriesInstanceUid>
  <StudyInstanceUID>1.2.840.9</StudyInstanceUID>
  <ResponseDescription>1 - Reading complete</ResponseDescription>
 </ResponseHeader>
"""
RADIOGRAPH = """<?xml version="1.0" encoding="UTF-8"?>
<IdriReadMessage uid="2.25.4" xmlns="http://www.nih.gov/idri"><ResponseHeader>
<CTSeriesInstanceUid>1.2.3</CTSeriesInstanceUid><CXRSeriesInstanceUid>1.2.9</CXRSeriesInstanceUid></ResponseHeader>
<CXRreadingSession><servicingRadiologistID>anonymous</servicingRadiologistID></CXRreadingSession></IdriReadMessage>
"""


@dataclass
class Session:
    """What one radiologist marked."""

    annotations: Sequence[Annotation] = ()
    findings: Sequence[Finding] = field(default_factory=list)


def ct_xml(series: str, *sessions: Session) -> str:
    return HEADER.format(series=series) + "".join(map(_session, sessions)) + "</LidcReadMessage>\n"


def write_ct_xml(path: Path, series: str, *sessions: Session) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ct_xml(series, *sessions), encoding="utf-8")
    return path


def _session(session: Session) -> str:
    marks = [_nodule(f"Nodule {n:03d}", _ratings(a), a.contours) for n, a in enumerate(session.annotations, start=1)]
    marks += [_small(f) if f.kind == "nodule_lt3" else _non_nodule(f) for f in session.findings]
    return (
        " <readingSession>\n  <annotationVersion>3.12</annotationVersion>\n"
        "  <servicingRadiologistID>anonymous</servicingRadiologistID>\n" + "".join(marks) + " </readingSession>\n"
    )


def _nodule(name: str, ratings: str, contours: Sequence[Contour]) -> str:
    rois = "".join(
        f"   <roi>\n    <imageZposition>{c.z_mm} </imageZposition>\n    <imageSOP_UID>1.2.3.4</imageSOP_UID>\n"
        f"    <inclusion>{str(c.inclusion).upper()}</inclusion>\n"
        + "".join(f"    <edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>\n" for y, x in c.rows_columns)
        + "   </roi>\n"
        for c in contours
    )
    return f"  <unblindedReadNodule>\n   <noduleID>{name}</noduleID>\n{ratings}{rois}  </unblindedReadNodule>\n"


def _ratings(annotation: Annotation) -> str:
    values = "".join(f"    <{name}>{value}</{name}>\n" for name, value in annotation.ratings.items())
    return f"   <characteristics>\n{values}   </characteristics>\n" if values else "   <characteristics/>\n"


def _small(finding: Finding) -> str:
    return _nodule("0", "", [Contour(finding.z_mm, True, [(finding.row, finding.column)])])


def _non_nodule(finding: Finding) -> str:
    return (
        f"  <nonNodule>\n   <nonNoduleID>2063</nonNoduleID>\n   <imageZposition>{finding.z_mm}</imageZposition>\n"
        "   <imageSOP_UID>1.2.3.4</imageSOP_UID>\n"
        f"   <locus><xCoord>{finding.column}</xCoord><yCoord>{finding.row}</yCoord>\n   </locus>\n  </nonNodule>\n"
    )
