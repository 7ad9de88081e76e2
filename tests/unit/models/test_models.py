import hashlib
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tapemill.core.errors import ConfigError, DiskFull, ModelError
from tapemill.models import (
    ALIASES,
    NETWORKS,
    UNPINNED,
    Description,
    download,
    fetch_models,
    find_model,
    read_lock,
    read_registry,
    smaller_models,
    verify_model,
)
from tests.support.media.speech import LOCK, MODEL
from tests.support.project import ROOT

REGISTRY = ROOT / "config" / "models.yaml"
CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any address. `breaks` connections are cut after half of what was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.tells_length = False
        self.content, self.breaks, self.ranges, self.knows_ranges = CONTENT, 0, [], True
        self.headers, self.redirect = {}, None
        """Headers that replace the true ones; an address that every request is sent on to."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/model.pt"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.path not in {"/model.pt", "/model.pth"}:
            self.send_error(404)
            return
        if self.server.redirect:
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.knows_ranges else 0
        if start and start >= len(self.server.content):
            self.send_response(416)
            if self.server.tells_length:
                self.send_header("Content-Range", f"bytes */{len(self.server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        headers = {"Content-Length": str(len(body))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(self.server.content)}"
        for name, value in (headers | self.server.headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.server.breaks > 0:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def register(lock, **entries):
    (lock.parent / "models.yaml").write_text(yaml.safe_dump(entries))


@pytest.fixture
def lock(tmp_path, server, monkeypatch):
    monkeypatch.setattr(download, "PAUSE_S", 0.01)
    path = tmp_path / "models.lock"
    path.write_text("# a comment\n" + yaml.safe_dump({"big": {"file": "models/big.pt", "sha256": SHA256}}))
    register(path, big={"kind": "speech", "url": server.address})
    return path


def fetch(lock, *names, **options):
    places = {"registry": lock.parent / "models.yaml", "lock": lock, "folder": lock.parent / "models"}
    fetch_models(names=names or ("big",), **places, **({"kinds": {"speech"}, "describe": speech} | options))
    return lock.parent / "models" / "big.pt"


def speech(path):
    """Stand-in for the inspection of a checkpoint, which test_whisper_checkpoint.py tests."""
    return Description("speech", None, "Whisper")


def find(lock, setting, kinds=("speech",)):
    return find_model(setting, kinds, registry=lock.parent / "models.yaml", lock=lock, folder=lock.parent / "models")


def left_in(lock):
    return sorted(path.name for path in (lock.parent / "models").iterdir())


def test_a_missing_model_is_fetched_once(lock, server):
    assert fetch(lock).read_bytes() == CONTENT
    fetch(lock)
    assert server.ranges == [None]
    assert left_in(lock) == ["big.pt"]


def test_a_broken_download_goes_on_where_it_stopped(lock, server):
    server.breaks = 2
    assert fetch(lock).read_bytes() == CONTENT
    half, rest = len(CONTENT) // 2, len(CONTENT) - len(CONTENT) // 2
    assert server.ranges == [None, f"bytes={half}-", f"bytes={half + rest // 2}-"]


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(lock, server, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.breaks = 1
    with pytest.raises(ModelError, match=r"could not be fetched(.|\n)*what to do: see that this machine"):
        fetch(lock)
    assert left_in(lock) == [".big.pt.partial"]
    assert fetch(lock).read_bytes() == CONTENT
    assert server.ranges[1] == f"bytes={len(CONTENT) // 2}-"


def test_a_server_without_ranges_starts_from_the_beginning(lock, server):
    server.breaks, server.knows_ranges = 1, False
    assert fetch(lock).read_bytes() == CONTENT


def test_stopped_between_the_last_byte_and_the_rename(lock, server):
    (lock.parent / "models").mkdir()
    (lock.parent / "models" / ".big.pt.partial").write_bytes(CONTENT)
    assert fetch(lock).read_bytes() == CONTENT


@pytest.mark.parametrize("already_there", ["partial", "whole", "nothing"])
def test_the_wrong_bytes_are_set_aside_and_fetched_anew(lock, server, already_there):
    folder = lock.parent / "models"
    folder.mkdir()
    if already_there == "partial":
        (folder / ".big.pt.partial").write_bytes(b"x" * 1000)
    elif already_there == "whole":
        (folder / "big.pt").write_bytes(b"x" * len(CONTENT))
    else:
        server.content = CONTENT[::-1]
    with pytest.raises(ModelError, match=r"pinned is(.|\n)*big\.pt\.rejected"):
        fetch(lock)
    assert left_in(lock) == ["big.pt.rejected"]
    server.content = CONTENT
    assert fetch(lock).read_bytes() == CONTENT


def test_an_address_that_refuses_is_not_asked_again(lock, server):
    register(lock, big={"kind": "speech", "url": server.address.replace("model.pt", "elsewhere.pt")})
    with pytest.raises(ModelError, match="404"):
        fetch(lock)
    assert len(server.ranges) == 1


def test_only_the_web_is_asked(lock):
    register(lock, big={"kind": "speech", "url": "file:///etc/model.pt"})
    with pytest.raises(ConfigError, match=r"big.url: 'file:///etc/model.pt'"):
        fetch(lock)
    with pytest.raises(ModelError, match="https only"):
        download.download("file:///etc/hostname", lock.parent / "partial", lock.parent / "whole")


def test_http_is_refused_but_from_this_machine(lock):
    for url in ("http://example.org/model.pt", "http://192.168.1.2/model.pt", "ftp://example.org/model.pt"):
        with pytest.raises(ModelError, match="https only"):
            download.download(url, lock.parent / "partial", lock.parent / "whole")


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/model.pt", "http://example.org/model.pt", "file:///etc/hostname"])
def test_a_redirect_to_another_scheme_is_not_followed(lock, server, address):
    server.redirect = address
    with pytest.raises(ModelError, match=r"https only|is not allowed"):
        fetch(lock)
    assert server.ranges == [None], "asked once, and the new address never"
    assert left_in(lock) == []


@pytest.mark.parametrize("length", ["many", "-5", "", "9" * 40, str(10**15)])
def test_a_length_that_cannot_be_is_refused(lock, server, length):
    server.headers = {"Content-Length": length}
    with pytest.raises(ModelError, match="states the length"):
        fetch(lock)
    assert len(server.ranges) == 1
    assert left_in(lock) == []


@pytest.mark.parametrize("part", ["bytes 5-9/10", "bytes 0-9/10", "lines 1-2/3", None])
def test_another_part_than_asked_for_is_never_added(lock, server, part):
    server.breaks = 1
    server.headers = {"Content-Range": part}
    assert fetch(lock).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 2}-", None]


def test_a_connection_that_brings_almost_nothing_counts_as_broken(lock, server, monkeypatch):
    monkeypatch.setattr(download, "SLOWEST_S", 0.0)
    monkeypatch.setattr(download, "SLOWEST_BYTES", len(CONTENT) + 1)
    with pytest.raises(ModelError, match=r"bytes arrived in"):
        fetch(lock)


def test_a_file_without_end_is_refused(lock, server, monkeypatch):
    monkeypatch.setattr(download, "LARGEST_BYTES", 1000)
    server.headers = {"Content-Length": None}
    with pytest.raises(ModelError, match="larger than"):
        fetch(lock)


def test_a_full_disk_is_said_before_anything_is_written(lock, monkeypatch):
    monkeypatch.setattr(download.disk_space, "free_bytes", lambda folder: 1000)
    with pytest.raises(DiskFull, match="free some space"):
        fetch(lock)
    assert left_in(lock) == []


def test_a_file_of_ones_own_is_pinned_on_first_sight_and_refused_when_changed(lock, tmp_path):
    own = tmp_path / "mine: é.pt"
    own.write_bytes(b"weights")
    assert find(lock, str(own)).sha256 == UNPINNED
    with pytest.raises(ModelError, match="not pinned yet"):
        verify_model(own, UNPINNED)
    fetch(lock, str(own))
    fetch(lock, str(own))
    assert find(lock, str(own)).sha256 == hashlib.sha256(b"weights").hexdigest()
    assert lock.read_text().startswith("# a comment\n")
    assert set(read_lock(lock)) == {"big", str(own)}
    own.write_bytes(b"other weights")
    with pytest.raises(ModelError, match="not the one that was pinned"):
        fetch(lock, str(own))
    assert own.read_bytes() == b"other weights"


def test_a_file_that_is_not_there(lock, tmp_path):
    with pytest.raises(ModelError, match="correct the path"):
        fetch(lock, str(tmp_path / "mine.pt"))
    with pytest.raises(ModelError, match="snakemake fetch_models"):
        verify_model(tmp_path / "mine.pt", SHA256)


def test_a_committed_model_cannot_be_fetched(lock, tmp_path):
    register(lock, demo={"kind": "speech", "file": "demo.pt"})
    with pytest.raises(ModelError, match="git checkout"):
        fetch(lock, "demo")


def test_a_path_may_mean_a_model_with_a_name(lock, monkeypatch):
    monkeypatch.chdir(lock.parent)
    for written in ("models/big.pt", "./models/../models/big.pt", str(lock.parent / "models" / "big.pt")):
        assert find(lock, written) == find(lock, "big")
    assert find(lock, "elsewhere/big.pt").sha256 == UNPINNED
    assert fetch(lock, "models/big.pt").read_bytes() == CONTENT
    assert len(read_lock(lock)) == 1


def test_unknown_names_get_a_hint():
    with pytest.raises(ConfigError, match="did you mean 'medium'"):
        find_model("mediun", {"speech"}, lock=LOCK)


@pytest.mark.parametrize("content", ["[", "tiny", "tiny: {file: x}", "tiny: x"])
def test_a_damaged_lock_is_said(tmp_path, content):
    (tmp_path / "models.lock").write_text(content)
    with pytest.raises(ModelError, match=r"list of models|entry in the list"):
        read_lock(tmp_path / "models.lock")


def test_names_and_files():
    folder = Path("resources/models")
    assert find_model("small", {"speech"}, lock=LOCK).path == folder / "small.pt"
    assert find_model("turbo", {"speech"}, lock=LOCK).path == folder / "large-v3-turbo.pt"
    assert find_model("../own/model.pt", {"speech"}, lock=LOCK).path == Path("../own/model.pt")


def test_the_registry_says_what_whisper_says():
    import whisper

    entries = read_registry(REGISTRY)
    speech = {name: entry["url"] for name, entry in entries.items() if entry["kind"] == "speech" and "url" in entry}
    assert speech == {name: url for name, url in whisper._MODELS.items() if name not in ALIASES}
    for name, url in whisper._MODELS.items():
        model = find_model(name, {"speech"}, lock=LOCK)
        assert model.sha256 == url.split("/")[-2]
        assert model.path.name == url.split("/")[-1]


def test_the_lock_knows_where_the_registry_puts_each_file():
    for name, pin in read_lock(LOCK).items():
        assert find_model(name, {"speech", *NETWORKS}, registry=REGISTRY, lock=LOCK).path == Path(pin["file"])


def test_the_demo_model_is_the_pinned_one():
    verify_model(MODEL, find_model("demo-en", {"speech"}, lock=LOCK).sha256)
    assert read_lock(LOCK)["demo-en"]["size_bytes"] == MODEL.stat().st_size


def test_a_model_is_found_without_whisper():
    program = (
        "import sys; from pathlib import Path; from tapemill.models import find_model; "
        f"find_model('large', {{'speech'}}, lock=Path({str(LOCK)!r})); import tapemill.subtitles; "
        "assert not {'torch', 'whisper', 'numba', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def installed(folder, *names):
    for name in names:
        (folder / f"{name}.pt").write_bytes(b"weights")
    return folder


@pytest.mark.parametrize(
    ("setting", "translating", "smaller"),
    [
        ("medium", False, ["small", "tiny"]),
        ("large", False, ["large-v3-turbo", "medium", "small", "tiny"]),
        ("large-v3", True, ["medium", "small", "tiny"]),
        ("large-v2", False, ["large-v3-turbo", "medium", "small", "tiny"]),
        ("turbo", False, ["medium", "small", "tiny"]),
        ("small.en", False, ["base.en"]),
        ("tiny", False, []),
        ("demo-en", False, []),
        ("models/my own.pt", False, []),
    ],
)
def test_smaller_models_are_those_of_the_same_kind_that_are_there(tmp_path, setting, translating, smaller):
    folder = installed(tmp_path, "tiny", "small", "medium", "large-v1", "large-v3-turbo", "base.en", "demo-en")
    found = smaller_models(setting, folder, LOCK, translating=translating)
    assert [model.path for model in found] == [folder / f"{name}.pt" for name in smaller]
    assert [model.sha256 for model in found] == [read_lock(LOCK)[name]["sha256"] for name in smaller]


def network(kind="frame", scale=2):
    """Stands for looking into the file, which is tested in test_enhance_describing.py."""
    return lambda path: Description(kind, scale, "Compact")


@pytest.fixture
def unpinned(lock, server):
    """A registry with a frame model that nobody has fetched yet."""
    register(lock, wide={"kind": "frame", "url": server.address + "h", "scale": 2})
    lock.write_text("# a comment\n")
    return lock


def fetch_network(lock, name="wide", describe=None):
    fetch(lock, name, kinds=NETWORKS, describe=describe or network())


def test_a_first_fetch_pins_what_came(unpinned, server, caplog):
    assert find(unpinned, "wide", NETWORKS).sha256 == UNPINNED
    fetch_network(unpinned)
    path = unpinned.parent / "models" / "wide.pth"
    assert path.read_bytes() == CONTENT
    assert read_lock(unpinned) == {"wide": {"file": str(path), "sha256": SHA256, "size_bytes": len(CONTENT)}}
    assert unpinned.read_text().startswith("# a comment\n")
    assert "is pinned" in caplog.text
    fetch_network(unpinned)
    assert server.ranges == [None]
    path.unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(ModelError, match="pinned is"):
        fetch_network(unpinned)
    assert left_in(unpinned) == ["wide.pth.rejected"]


def test_a_file_put_in_its_place_by_hand_is_pinned_as_if_fetched(unpinned, server):
    (unpinned.parent / "models").mkdir()
    (unpinned.parent / "models" / "wide.pth").write_bytes(b"weights")
    fetch_network(unpinned)
    assert read_lock(unpinned)["wide"]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert server.ranges == []


def test_an_unpinned_download_goes_on_where_it_stopped(unpinned, server):
    server.breaks = 1
    fetch_network(unpinned)
    assert server.ranges == [None, f"bytes={len(CONTENT) // 2}-"]
    assert read_lock(unpinned)["wide"]["sha256"] == SHA256


def test_leftovers_longer_than_the_file_are_not_taken_for_it(unpinned, server):
    server.tells_length = True
    (unpinned.parent / "models").mkdir()
    (unpinned.parent / "models" / ".wide.pth.partial").write_bytes(CONTENT + b"x")
    fetch_network(unpinned)
    assert (unpinned.parent / "models" / "wide.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("found", [("frame", 4), ("vrt", 2)])
def test_a_file_that_is_not_what_the_registry_says_is_not_pinned(unpinned, found):
    with pytest.raises(ModelError, match=r"the registry has wide as of the kind frame with scale 2"):
        fetch_network(unpinned, describe=network(*found))
    assert read_lock(unpinned) == {}
    assert left_in(unpinned) == ["wide.pth.rejected"]


def test_a_network_of_ones_own_is_pinned_with_what_was_found(lock, tmp_path):
    own = tmp_path / "mine.safetensors"
    own.write_bytes(b"weights")
    assert find(lock, str(own), NETWORKS).scale is None
    fetch_network(lock, str(own), network("vrt", 4))
    model = find(lock, str(own), NETWORKS)
    assert (model.kind, model.scale, model.sha256) == ("vrt", 4, hashlib.sha256(b"weights").hexdigest())
    with pytest.raises(ConfigError, match=r"of the kind vrt, and what is needed here is frame(.|\n)*delete its entry"):
        find(lock, str(own), {"frame"})


def test_a_network_of_the_wrong_kind_stays_where_it_lies(lock, tmp_path):
    own = tmp_path / "mine.pth"
    own.write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"holds a vrt model(.|\n)*needed here is frame"):
        fetch(lock, str(own), kinds={"frame"}, describe=network("vrt", 1))
    assert own.exists()
    assert set(read_lock(lock)) == {"big"}


def test_entries_of_before_there_were_networks_are_of_speech_models(lock):
    lock.write_text(yaml.safe_dump({"my/family.pt": {"file": "my/family.pt", "sha256": SHA256}}))
    assert find(lock, "my/family.pt").kind == "speech"


@pytest.mark.parametrize(
    ("setting", "kinds", "message"),
    [
        ("RealESRGAN_x4plus", {"frame"}, "did you mean 'realesrgan-x4plus'"),
        ("vrt-denoize", {"vrt"}, "did you mean 'vrt-denoise'"),
        ("smal", {"frame", "vrt"}, "there is no model 'smal'"),
        ("small", {"frame", "vrt"}, "of the kind speech, and what is needed here is frame or vrt"),
        ("vrt-denoise", {"frame"}, "of the kind vrt, and what is needed here is frame"),
        ("bsrgan-x2", {"speech"}, r"of the kind frame, and what is needed here is speech(.|\n)*base(.|\n)*a \.pt file"),
        ("resources/models/demo-en.pt", {"frame"}, "of the kind speech"),
    ],
)
def test_a_model_for_something_else_is_refused(setting, kinds, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=message) as raised:
        find_model(setting, kinds)
    assert "speech" in kinds or "'small'" not in raised.value.remedy


def test_every_network_of_the_registry_says_what_it_needs():
    for name, entry in read_registry(REGISTRY).items():
        assert entry["task"], name
        assert entry["licence"], name
    model = find_model("vrt-sr-vimeo-bd", {"vrt"}, registry=REGISTRY, lock=LOCK)
    assert (model.path, model.scale) == (Path("resources/models/vrt-sr-vimeo-bd.pth"), 4)
    assert "non-commercial" in read_registry(REGISTRY)[model.name]["licence"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "frame", "url": "https://x/y.pth", "scale": 2, "licens": "MIT"}, "did you mean 'licence'"),
        ({"kind": "frame", "url": "https://x/y.pth", "scale": 3}, "3 is not one of 1, 2, 4"),
        ({"kind": "frame", "url": "https://x/y.pth"}, "must have a `scale`"),
        ({"kind": "movie", "url": "https://x/y.pth"}, "'movie' is not one of speech, frame, vrt"),
        ({"url": "https://x/y.pth"}, "kind must not be empty"),
        ({"kind": "speech"}, "either `file` or `url`"),
        ({"kind": "speech", "url": "https://x/y.pt", "file": "y.pt"}, "either `file` or `url`"),
        ({"kind": "speech", "url": "https://x/y.zip"}, "y.zip"),
        ("small", "small"),
    ],
)
def test_mistakes_in_the_registry_are_said(lock, entry, message):
    register(lock, mine=entry)
    with pytest.raises(ConfigError, match=message) as raised:
        find(lock, "mine")
    assert "models.yaml" in str(raised.value)


@pytest.mark.parametrize("name", ["a/b", "mine.pth", "-x"])
def test_a_name_is_not_to_be_taken_for_a_file(lock, name):
    register(lock, **{name: {"kind": "speech", "file": "y.pt"}})
    with pytest.raises(ConfigError, match=r"models\.yaml"):
        find(lock, "big")


def test_a_folder_without_a_registry_uses_the_one_tapemill_came_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_model("vrt-denoise", {"vrt"}, lock=LOCK).scale == 1
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.yaml").write_text("[")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_model("vrt-denoise", {"vrt"}, lock=LOCK)
