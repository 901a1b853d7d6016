"""DICOM: window, rescale and inversion by the standard's formulas, and files that are none."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossgen.errors import InputError
from lossgen.gan.decode import decode, read_header
from lossgen.gan.folders import read_folder

pydicom = pytest.importorskip("pydicom")


def write(path: Path, values: np.ndarray, **more: Any) -> Path:
    """A file of stored values (H, W), or (H, W, 3) in 8 bits, or (frames, H, W) with NumberOfFrames."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    content = Dataset()
    content.file_meta = FileMetaDataset()
    content.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    content.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    content.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    content.SOPClassUID, content.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    colour = values.ndim == 3 and "NumberOfFrames" not in more
    content.Rows, content.Columns = values.shape[:2] if colour else values.shape[-2:]
    content.SamplesPerPixel = 3 if colour else 1
    content.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    bits = values.dtype.itemsize * 8
    content.BitsAllocated, content.BitsStored, content.HighBit = bits, bits, bits - 1
    content.PixelRepresentation = int(values.dtype.kind == "i")
    if colour:
        content.PlanarConfiguration = 0
    content.PixelData = values.tobytes()
    for name, value in more.items():
        setattr(content, name, value)
    content.save_as(path, enforce_file_format=True)
    return path


HU = np.array([[-1000, -150], [40, 240]], dtype=np.int16)


def test_a_window_after_the_rescale(tmp_path: Path) -> None:
    """PS3.3 C.11.2.1.2.1: of a window of width w at c, values from c - 0.5 - (w - 1) / 2 to c - 0.5 + (w - 1) / 2."""
    path = write(
        tmp_path / "a.dcm", (HU + 1024).astype(np.uint16), RescaleSlope=1, RescaleIntercept=-1024,
        WindowCenter=[40, 300], WindowWidth=[400, 1500],
    )  # fmt: skip
    expected = np.clip((HU - 39.5) / 399 + 0.5, 0, 1) * 255
    np.testing.assert_array_equal(decode(path)[..., 0], np.rint(expected))
    header = read_header(path)
    assert (header.height, header.width, header.depth, header.frames) == (2, 2, "16-bit", 1)


@pytest.mark.parametrize(
    ("function", "expected"),
    [("LINEAR_EXACT", np.clip((HU - 40) / 400 + 0.5, 0, 1)), ("SIGMOID", 1 / (1 + np.exp(-4 * (HU - 40.0) / 400)))],
)
def test_other_functions_of_the_window(tmp_path: Path, function: str, expected: np.ndarray) -> None:
    path = write(tmp_path / "a.dcm", HU, WindowCenter=40, WindowWidth=400, VOILUTFunction=function)
    np.testing.assert_array_equal(decode(path)[..., 0], np.rint(expected * 255))


def test_without_a_window_from_the_least_to_the_largest(tmp_path: Path) -> None:
    values = np.array([[100, 200], [300, 400]], dtype=np.uint16)
    np.testing.assert_array_equal(decode(write(tmp_path / "a.dcm", values))[..., 0], [[0, 85], [170, 255]])
    assert not decode(write(tmp_path / "b.dcm", np.full((2, 2), 7, np.uint16))).any()


def test_white_may_be_low(tmp_path: Path) -> None:
    values = np.array([[0, 51], [204, 255]], dtype=np.uint8)
    path = write(tmp_path / "a.dcm", values, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(decode(path)[..., 0], 255 - values)


def test_a_table_in_place_of_a_window(tmp_path: Path) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor = [4, 0, 8]
    table.add_new("LUTData", "US", [255, 10, 20, 30])
    values = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    path = write(tmp_path / "a.dcm", values, VOILUTSequence=[table])
    np.testing.assert_array_equal(decode(path)[..., 0], [[255, 10], [20, 30]])


def test_colour_and_frames(tmp_path: Path) -> None:
    colour = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(decode(write(tmp_path / "a.dcm", colour)), colour)
    frames = np.arange(12, dtype=np.uint8).reshape(3, 2, 2) * 20
    path = write(tmp_path / "b.dcm", frames, NumberOfFrames=3)
    assert read_header(path).frames == 3
    np.testing.assert_array_equal(decode(path)[..., 0], [[0, 85], [170, 255]])


def test_a_folder_of_them(tmp_path: Path) -> None:
    for kind in ("normal", "scar"):
        (tmp_path / kind).mkdir()
        for i in range(3):
            write(tmp_path / kind / f"{i}.dcm", (np.arange(16).reshape(4, 4) * (i + 1)).astype(np.uint16))
    data = read_folder(tmp_path, "scans")
    assert data.classes == ("normal", "scar") and len(data.splits["train"].images) == 6


def test_padding_is_no_contrast(tmp_path: Path) -> None:
    values = np.array([[-2000, 100], [200, 300]], dtype=np.int16)
    path = write(tmp_path / "a.dcm", values, PixelPaddingValue=-2000)
    np.testing.assert_array_equal(decode(path)[..., 0], [[0, 0], [128, 255]])
    path = write(tmp_path / "b.dcm", values, WindowCenter=40, WindowWidth=0)
    with pytest.raises(InputError, match=r"cannot be decoded \(its window is 0 wide\)"):
        decode(path)


def test_a_damaged_file_ends_in_a_line(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.dcm", HU, WindowCenter=40, WindowWidth=400).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / "b.dcm"
    broken = [whole[:end] for end in range(0, len(whole), 3)]
    for place, value in zip(rng.integers(0, len(whole), 150), rng.integers(0, 256, 150)):
        broken.append(whole[:place] + bytes([value]) + whole[place + 1 :])
    for content in broken:
        path.write_bytes(content)
        for read in (read_header, decode):
            try:
                read(path)
            except InputError as error:
                assert str(error).startswith(f"image {path}: ")


def test_what_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dcm").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"image .*a.dcm: not a DICOM file that can be read; mend or remove it"):
        read_header(tmp_path / "a.dcm")
    path = write(tmp_path / "b.dcm", HU)
    content = pydicom.dcmread(path)
    del content.PixelData, content.Rows
    content.save_as(path)
    with pytest.raises(InputError, match="a DICOM file without an image; remove it"):
        read_header(path)
    path = write(tmp_path / "c.dcm", HU)
    content = pydicom.dcmread(path)
    content.PixelData = content.PixelData[:4]
    content.save_as(path)
    with pytest.raises(InputError, match=r"its pixels cannot be decoded \(.*\); save it uncompressed"):
        decode(path)

    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "pydicom":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"DICOM takes a package more: pip install 'lossgen\[dicom\]'"):
        read_header(path)
