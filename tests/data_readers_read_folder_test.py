"""What lies in people's folders beside images: pipes, links, thumbnails, odd names."""

import os
import pathlib
import signal
import socket

import numpy as np
import PIL.Image
import pytest

from keras_basisprune.data import load_data

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")
SPLITS = ("train", "validation", "test")
SIZE = (4, 5, 3)


@pytest.fixture(autouse=True)
def patience():
    """What waits for a pipe is told apart from what is slow."""

    def stop(*_):
        raise TimeoutError("still waiting for a pipe")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def pets(tmp_path):
    """Twelve images of one colour each, in two classes."""
    for number in range(12):
        folder = tmp_path / "pets" / ("cat", "dog")[number % 2]
        write(folder / f"{number:03d}.png", number)
    return tmp_path / "pets"


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.full(SIZE, value, np.uint8)).save(path)


def read(spec, **arguments):
    """The values of the images and their labels, in order; and what was left out."""
    data = load_data(spec, **arguments)
    images = np.concatenate([getattr(data, split)[0] for split in SPLITS])
    labels = np.concatenate([getattr(data, split)[1] for split in SPLITS])
    values = images.reshape(len(images), -1)
    assert (values == values[:, :1]).all()
    found = sorted(zip(values[:, 0].tolist(), labels.tolist(), strict=True))
    return found, data.skipped


ALL = [(float(number), number % 2) for number in range(12)]


def pipe(path):
    os.mkfifo(path)


def listening(path):
    place = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(place)


NO_FILES = {
    "pipe": (pipe, "no regular file"),
    "socket": (listening, "no regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "link to itself": (lambda path: path.symlink_to(path.name), "symbolic links"),
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_left_out_and_named(pets, kind, deep):
    make, reason = NO_FILES[kind]
    path = pets / "dog" / ("deep" if deep else ".") / "new.png"
    path.parent.mkdir(exist_ok=True)
    make(path)
    with pytest.warns(UserWarning, match=f"left out: 1, for example .*{reason}"):
        found, skipped = read(pets)
    assert found == ALL
    assert len(skipped) == 1 and "new.png" in skipped[0] and reason in skipped[0]


def test_pipes_without_the_name_of_an_image_are_passed_over(pets):
    pipe(pets / "dog" / "control")
    pipe(pets / "dog" / ".hidden.png")
    pipe(pets / "pipe.png")
    assert read(pets) == (ALL, ())


def test_a_pipe_in_place_of_an_archive_is_refused(tmp_path):
    pipe(tmp_path / "data.npz")
    (tmp_path / "link.npz").symlink_to("data.npz")
    for name in ("data.npz", "link.npz"):
        with pytest.raises(ValueError, match=f"spec='.*{name}', which is none of th"):
            load_data(str(tmp_path / name))


def test_a_folder_with_the_name_of_an_archive_is_a_folder(pets):
    assert read(pets.rename(pets.with_name("pets.npz"))) == (ALL, ())


@pytest.mark.parametrize(
    "hidden",
    [
        ".thumbnails",
        ".ipynb_checkpoints",
        "__MACOSX",
        "@eaDir",
        "lost+found",
        "deep/.thumbnails",
        ".thumbnails/deep",
    ],
)
def test_images_in_hidden_folders_are_not_read(pets, hidden):
    write(pets / "dog" / hidden / "099.png", 99)
    write(pets / hidden / "099.png", 99) if "/" not in hidden else None
    assert read(pets) == (ALL, ())


def test_images_in_folders_that_are_not_hidden_are(pets):
    write(pets / "dog" / "deep" / "deeper" / "013.png", 13)
    write(pets / "dog" / "photo.png" / "015.PNG", 15)  # a folder
    assert read(pets) == ([*ALL, (13.0, 1), (15.0, 1)], ())


def test_a_class_may_be_a_link(pets):
    write(pets.parent / "elsewhere" / "013.png", 13)
    (pets / "dog" / "012.png").symlink_to(pets.parent / "elsewhere" / "013.png")
    (pets / "emu").symlink_to(pets.parent / "elsewhere")
    found, _ = read(pets, validation_split=0, test_split=0)
    assert found == [*ALL, (13.0, 1), (13.0, 2)]


@pytest.mark.parametrize("place", ["loop", "dog/loop", "dog/deep/loop"])
@pytest.mark.parametrize("target", ["pets", "."])
def test_links_upward_are_not_followed(pets, place, target):
    link = pets / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(pets if target == "pets" else link.parent)
    assert read(pets) == (ALL, ())


def test_links_to_folders_within_a_class_are_not_followed(pets):
    (pets / "dog" / "more").symlink_to(pets / "cat")
    assert read(pets) == (ALL, ())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_cant_be_listed_are_named(pets):
    (pets / "dog" / "deep").mkdir(mode=0)
    with pytest.raises(ValueError, match="folders that can be read.*dog/deep'"):
        load_data(pets)


def test_a_folder_that_vanishes_is_named(pets, monkeypatch):
    from keras_basisprune.data.readers.list_images import list_images

    with pytest.raises(ValueError, match=r"Received: '.*gone', which can't \(No such"):
        list_images(pets / "gone")


@pytest.mark.parametrize("content", [b"", b"no image", "half"])
def test_damaged_images_are_left_out_and_named(pets, content):
    whole = (pets / "dog" / "011.png").read_bytes()
    content = whole[: len(whole) // 2] if content == "half" else content
    (pets / "dog" / "new.png").write_bytes(content)
    with pytest.warns(UserWarning, match="left out: 1, for example .*new.png"):
        assert read(pets)[0] == ALL


def test_odd_names(pets):
    odd = os.fsencode(pets / "dog") + b"/\xff\xfe \n.png"
    os.rename(pets / "dog" / "011.png", odd)
    os.rename(pets / "dog", os.fsencode(pets) + b"/\xe9tal")
    assert read(pets) == (ALL, ())


def gradient(mode):
    ramp = np.linspace(0, 255, 20).astype(np.uint8).reshape(4, 5)
    if mode == "I;16":
        return PIL.Image.fromarray(ramp.astype(np.uint16) * 257)
    return PIL.Image.fromarray(ramp).convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("L", "png"),
        ("LA", "png"),
        ("P", "gif"),
        ("P", "png"),
        ("RGBA", "png"),
        ("CMYK", "tiff"),
        ("I;16", "png"),
        ("I;16", "tiff"),
    ],
)
def test_modes_come_in_0_to_255(tmp_path, mode, suffix):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        gradient(mode).save(tmp_path / name / f"1.{suffix}")
    images = load_data(tmp_path, validation_split=0, test_split=0).train[0]
    wanted = np.linspace(0, 255, 20).astype(np.uint8).reshape(4, 5, 1)
    np.testing.assert_array_equal(images, np.broadcast_to(wanted, (2, 4, 5, 3)))


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [PIL.Image.fromarray(np.full((4, 5), v, np.uint8)) for v in (10, 200)]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        frames[0].save(
            tmp_path / name / "1.gif", save_all=True, append_images=frames[1:]
        )
    images = load_data(tmp_path, validation_split=0, test_split=0).train[0]
    np.testing.assert_array_equal(images, np.full((2, 4, 5, 3), 10.0))


@pytest.mark.parametrize("flag", [1, 1 << 5])
def test_encrypted_archives_are_refused(tmp_path, flag):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((4, 2, 2)), y=[0, 1, 0, 1])
    content = bytearray(path.read_bytes())
    for start in (content.find(b"PK\x01\x02"), content.find(b"PK\x03\x04")):
        content[start + (8 if content[start + 2] == 1 else 6)] |= flag
    pathlib.Path(path).write_bytes(content)
    with pytest.raises(ValueError, match="to be a readable .npz file of plain arrays"):
        load_data(path)
