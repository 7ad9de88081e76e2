import hashlib
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from spoken import LOCK, MODEL
from tapemill import models
from tapemill.errors import ConfigError, ModelError, SetupError
from tapemill.models import (
    UNPINNED,
    fetch_models,
    locked_sha256,
    read_lock,
    resolve_model,
    smaller_models,
    verify_model,
)

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any address. `breaks` connections are cut after half of what was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.breaks, self.ranges, self.knows_ranges = CONTENT, 0, [], True

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/model.pt"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.path != "/model.pt":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.knows_ranges else 0
        if start and start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
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


@pytest.fixture
def lock(tmp_path, server, monkeypatch):
    monkeypatch.setattr(models, "PAUSE_S", 0.01)
    path = tmp_path / "models.lock"
    entry = {"file": "big.pt", "sha256": SHA256, "url": server.address}
    path.write_text("# a comment\n" + yaml.safe_dump({"big": entry}))
    return path


def fetch(lock, *names):
    fetch_models(names=names or ("big",), lock=lock, folder=lock.parent / "models")
    return lock.parent / "models" / "big.pt"


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
    monkeypatch.setattr(models, "ATTEMPTS", 1)
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
    lock.write_text(lock.read_text().replace("model.pt", "elsewhere.pt"))
    with pytest.raises(ModelError, match="404"):
        fetch(lock)
    assert len(server.ranges) == 1


def test_only_the_web_is_asked(lock):
    lock.write_text(lock.read_text().replace("http:", "file:"))
    with pytest.raises(ModelError, match="https only"):
        fetch(lock)


def test_a_full_disk_is_said_before_anything_is_written(lock, monkeypatch):
    monkeypatch.setattr(models.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(SetupError, match="make room"):
        fetch(lock)
    assert left_in(lock) == []


def test_a_file_of_ones_own_is_pinned_on_first_sight_and_refused_when_changed(lock, tmp_path):
    own = tmp_path / "mine: é.pt"
    own.write_bytes(b"weights")
    assert locked_sha256(str(own), lock) == UNPINNED
    with pytest.raises(ModelError, match="not pinned yet"):
        verify_model(own, UNPINNED)
    fetch(lock, str(own))
    fetch(lock, str(own))
    assert locked_sha256(str(own), lock) == hashlib.sha256(b"weights").hexdigest()
    assert lock.read_text().startswith("# a comment\n")
    assert set(read_lock(lock)) == {"big", str(own)}
    own.write_bytes(b"other weights")
    with pytest.raises(ModelError, match="not the one that was pinned"):
        fetch(lock, str(own))
    assert own.read_bytes() == b"other weights"


def test_a_file_that_is_not_there(lock, tmp_path):
    with pytest.raises(ModelError, match="correct the path"):
        fetch(lock, str(tmp_path / "mine.pt"))
    with pytest.raises(ModelError, match="snakemake models"):
        verify_model(tmp_path / "mine.pt", SHA256)


def test_a_committed_model_cannot_be_fetched(lock, tmp_path):
    lock.write_text(yaml.safe_dump({"demo": {"file": "demo.pt", "sha256": SHA256}}))
    with pytest.raises(ModelError, match="git checkout"):
        fetch(lock, "demo")


def test_a_path_may_mean_a_model_of_the_lock(lock, monkeypatch):
    monkeypatch.chdir(lock.parent)
    lock.write_text(lock.read_text().replace("file: big.pt", "file: models/big.pt"))
    for written in ("models/big.pt", "./models/../models/big.pt", str(lock.parent / "models" / "big.pt")):
        assert locked_sha256(written, lock) == SHA256
    assert locked_sha256("elsewhere/big.pt", lock) == UNPINNED
    assert fetch(lock, "models/big.pt").read_bytes() == CONTENT
    assert len(read_lock(lock)) == 1


def test_unknown_names_get_a_hint():
    with pytest.raises(ConfigError, match="did you mean 'medium'"):
        locked_sha256("mediun", LOCK)


@pytest.mark.parametrize("content", ["[", "tiny", "tiny: {file: x}", "tiny: x"])
def test_a_damaged_lock_is_said(tmp_path, content):
    (tmp_path / "models.lock").write_text(content)
    with pytest.raises(ModelError, match=r"list of models|entry in the list"):
        read_lock(tmp_path / "models.lock")


def test_names_and_files():
    folder = Path("resources/models")
    assert resolve_model("small", folder) == folder / "small.pt"
    assert resolve_model("turbo", folder) == folder / "large-v3-turbo.pt"
    assert resolve_model("../own/model.pt", folder) == Path("../own/model.pt")


def test_the_lock_says_what_whisper_says():
    import whisper

    entries = {name: entry for name, entry in read_lock(LOCK).items() if "url" in entry}
    assert {name: entry["url"] for name, entry in entries.items()} == {
        name: url for name, url in whisper._MODELS.items() if name not in models.ALIASES
    }
    for name, url in whisper._MODELS.items():
        assert locked_sha256(name, LOCK) == url.split("/")[-2]
        assert resolve_model(name, Path("resources/models")).name == url.split("/")[-1]
    for name, entry in entries.items():
        assert entry["file"] == str(resolve_model(name, Path("resources/models")))


def test_the_demo_model_is_the_pinned_one():
    verify_model(MODEL, locked_sha256("demo-en", LOCK))
    assert read_lock(LOCK)["demo-en"]["size_bytes"] == MODEL.stat().st_size


def test_the_hash_is_known_without_whisper():
    program = (
        "import sys; from pathlib import Path; from tapemill.models import locked_sha256; "
        f"locked_sha256('large', Path({str(LOCK)!r})); import tapemill.subtitles; "
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
    assert [model.sha256 for model in found] == [locked_sha256(name, LOCK) for name in smaller]
