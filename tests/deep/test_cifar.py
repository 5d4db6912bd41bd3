"""CIFAR-10's records and archive, in small."""

import gzip
import io
import tarfile

import numpy as np
import pytest

from esgd_minimal.deep import cifar


def batch(n, seed=0, label=None):
    rng = np.random.default_rng(seed)
    rows = rng.integers(256, size=(n, cifar.RECORD), dtype=np.uint8)
    rows[:, 0] = rng.integers(10, size=n) if label is None else label
    return rows.tobytes()


FILES = {name: batch(3, seed) for seed, name in enumerate((*cifar.TRAIN, cifar.TEST))}


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                tar.addfile(info)
    return path


def in_folder(files):
    return {f"{cifar.FOLDER}/{name}": content for name, content in files.items()}


def test_records():
    data = bytes([7]) + bytes([200]) * 1024 + bytes([100]) * 1024 + bytes([50]) * 1024 + batch(2, label=9)
    pixels, labels = cifar.records(data, "a.bin")
    assert pixels.shape == (3, 3, 32, 32) and labels.tolist() == [7, 9, 9]
    assert [np.unique(plane).tolist() for plane in pixels[0]] == [[200], [100], [50]]
    assert pixels[2, 1, 2, 3] == data[2 * 3073 + 1 + 1024 + 2 * 32 + 3]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"", "0 bytes are not"), (batch(2)[:-5], "6141 bytes are not"), (batch(3, label=[0, 12, 10]), "12 in record 1")],
)
def test_what_are_no_records(data, sentence):
    with pytest.raises(ValueError, match=f"a.bin .*{sentence}"):
        cifar.records(data, "a.bin")


def test_folder_and_archive_hold_the_same(tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    path = archive(tmp_path / "c.tar.gz", in_folder(FILES) | {"cifar-10-batches-bin/readme.html": b"hello"})
    assert cifar.from_folder(folder) == cifar.from_tar(path) == FILES
    (folder / cifar.TEST).unlink()
    with pytest.raises(ValueError, match=r"lacks test_batch\.bin"):
        cifar.from_folder(folder)


def test_a_hostile_archive_writes_nothing(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    hostile = {"../outside": b"x", str(tmp_path / "absolute"): b"x", f"{cifar.FOLDER}/../../outside": b"x"}
    path = archive(inside / "c.tar.gz", hostile | in_folder(FILES))
    assert cifar.from_tar(path) == FILES
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["c.tar.gz", "inside"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_is_not_a_file(tmp_path, kind):
    path = archive(tmp_path / "c.tar.gz", in_folder(FILES | {cifar.TEST: (kind, "/etc/passwd")}))
    with pytest.raises(ValueError, match=r"lacks test_batch\.bin"):
        cifar.from_tar(path)


def test_a_member_that_is_far_too_large(tmp_path):
    info = tarfile.TarInfo(f"{cifar.FOLDER}/{cifar.TEST}")
    info.size = 10**15
    path = tmp_path / "c.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(ValueError, match=r"1000000000000000 bytes of cifar-10-batches-bin/test_batch\.bin"):
        cifar.from_tar(path)


@pytest.mark.parametrize("damage", ["cut", "flip", "checksum", "page", "empty"])
def test_a_damaged_archive(tmp_path, damage):
    path = archive(tmp_path / "c.tar.gz", in_folder(FILES))
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "flip": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
            "checksum": whole[:-8] + bytes(4) + whole[-4:],
            "page": b"<html>no such page</html>",
            "empty": b"",
        }[damage]
    )
    with pytest.raises(ValueError, match=r"c\.tar\.gz is cut off or damaged"):
        cifar.from_tar(path)


def test_training_batches_are_joined_in_order_and_equally_long():
    files = [cifar.records(FILES[name], name) for name in cifar.TRAIN]
    pixels, labels = cifar.join(files)
    assert pixels.shape == (15, 3, 32, 32) and np.array_equal(pixels[3:6], files[1][0])
    assert np.array_equal(labels[12:], files[4][1])
    with pytest.raises(ValueError, match=r"equally long; they have \[3, 2\] images"):
        cifar.join([files[0], cifar.records(FILES["data_batch_2.bin"][: 2 * cifar.RECORD], "b")])
