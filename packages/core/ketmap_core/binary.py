"""Binary trajectories whose last frame chemfiles leaves out without a word when the file is cut there."""

import struct
from pathlib import Path
from typing import BinaryIO

_XTC_MAGIC = 1995


def ends_within_frame(path: Path) -> bool:
    """Whether an xtc or dcd file ends within a frame; other formats raise when they are read."""
    record = {".xtc": _xtc_frame, ".dcd": _fortran_record}.get(path.suffix.lower())
    if record is None:
        return False
    size, place = path.stat().st_size, 0
    with open(path, "rb") as file:
        while place < size:
            file.seek(place)
            try:
                step = record(file)
            except struct.error:  # fewer bytes than a header
                return True
            if step <= 0:
                return True
            place += step
    return place > size


def _xtc_frame(file: BinaryIO) -> int:
    """Bytes of a frame: header and box, then packed coordinates with their number of bytes at 88 (GROMACS' xdrfile)."""
    magic, n_atoms = struct.unpack(">ii", file.read(8))
    if magic != _XTC_MAGIC:
        raise struct.error("a frame of another format")
    if n_atoms <= 9:  # not packed
        return 56 + 12 * n_atoms
    file.seek(80, 1)
    (packed,) = struct.unpack(">i", file.read(4))
    return 92 + (packed + 3) // 4 * 4


def _fortran_record(file: BinaryIO) -> int:
    (length,) = struct.unpack("<i", file.read(4))
    if not 0 <= length < 2**30:  # of a machine with the other byte order
        (length,) = struct.unpack(">i", struct.pack("<i", length))
    return length + 8
