"""The module Sample Data: what is registered with it is checked as there, and kept; nothing is downloaded."""

from __future__ import annotations

import os
import re
import sys
import types

_CHECKSUM = re.compile(r"(SHA256|SHA512|MD5):[0-9a-fA-F]+")


class SampleDataSource:
    """One sample: files with their addresses, checksums and node names, lists of equal length."""

    def __init__(
        self,
        sampleName=None,
        sampleDescription=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        checksums=None,
        loadFiles=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType=None,
        loadFileProperties=None,
    ):
        self.sampleName = sampleName
        self.sampleDescription = sampleName if sampleDescription is None else sampleDescription
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}
        if isinstance(uris, str):
            uris, fileNames, nodeNames = [uris], [fileNames], [nodeNames]
            loadFiles, loadFileType, checksums = [loadFiles], [loadFileType], [checksums]
        elif isinstance(uris, (list, tuple)):
            empty = [None] * len(uris)
            if isinstance(loadFileType, str) or loadFileType is None:
                loadFileType = [loadFileType] * len(uris)
            nodeNames, loadFiles, checksums = nodeNames or empty, loadFiles or empty, checksums or empty
        self.uris, self.fileNames, self.nodeNames = uris, fileNames, nodeNames
        self.loadFiles, self.checksums = loadFiles, checksums
        self.loadFileType = [
            self._type(file, node, kind) for file, node, kind in zip(fileNames, nodeNames, loadFileType)
        ]
        lengths = {len(part) for part in (uris, fileNames, nodeNames, loadFiles, self.loadFileType, checksums)}
        if len(lengths) != 1:
            raise ValueError("All fields of sample data source must have the same length")
        for checksum in checksums:
            if checksum is not None and not _CHECKSUM.fullmatch(checksum):
                raise ValueError(f"Checksum must be <algo>:<digest>, got {checksum!r}")

    @staticmethod
    def _type(file, node, kind):
        if kind is not None:
            return kind
        if node is not None:
            return "VolumeFile"
        ending = os.path.splitext(file.lower())[1]
        return {".mrml": "SceneFile", ".mrb": "SceneFile", ".zip": "ZipFile"}.get(ending)

    def __eq__(self, other):
        return isinstance(other, SampleDataSource) and vars(self) == vars(other)

    __hash__ = None


class SampleDataLogic:
    """Samples by category, in ``slicer.modules.sampleDataSources`` as in the application."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType="VolumeFile",
        loadFiles=None,
        loadFileProperties={},  # noqa: B006 (the signature is Slicer's)
        checksums=None,
    ):
        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            thumbnailFileName=thumbnailFileName,
            loadFileType=loadFileType,
            loadFiles=loadFiles,
            loadFileProperties=loadFileProperties,
            checksums=checksums,
            customDownloader=customDownloader,
        )
        if not SampleDataLogic.isSampleDataSourceRegistered(category, source):
            SampleDataLogic.sampleDataSourcesByCategory().setdefault(category, []).append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        import slicer

        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        sources = slicer.modules.sampleDataSources
        return sources if category is None else sources.get(category, [])

    @staticmethod
    def isSampleDataSourceRegistered(category, sampleDataSource):
        if not isinstance(sampleDataSource, SampleDataSource):
            raise TypeError(f"unsupported sampleDataSource type '{type(sampleDataSource)}'")
        return sampleDataSource in SampleDataLogic.sampleDataSourcesByCategory(category)


def install() -> None:
    """Make ``SampleData`` importable."""
    module = types.ModuleType("SampleData", __doc__)
    module.SampleDataSource, module.SampleDataLogic = SampleDataSource, SampleDataLogic
    sys.modules["SampleData"] = module
