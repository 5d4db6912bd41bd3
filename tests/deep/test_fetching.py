"""Fetching from a server of our own, one that can break off, go silent about ranges, or lie."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from esgd_minimal.deep import fetching
from esgd_minimal.deep.fetching import File

CONTENT = bytes(range(256)) * 2000


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT; breaks off after `stop_after` bytes."""

    def do_GET(self):
        state = self.server.state
        state["asked"].append(self.headers.get("Range"))
        content = state["content"]
        start = 0
        if state["ranges"] and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if start < len(content) else 416)
        else:
            self.send_response(state["status"])
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: state["stop_after"]])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.delenv("ESGD_DATA", raising=False)
    monkeypatch.setattr(fetching, "cache", lambda: tmp_path / "cache")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        http.state = {"content": CONTENT, "ranges": True, "stop_after": None, "status": 200, "asked": []}
        http.url = f"http://127.0.0.1:{http.server_port}/data.bin"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def file(*urls, kind="sha256"):
    return File("set/data.bin", urls, f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}")


def left(tmp_path):
    return sorted(p.name for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock")


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_fetched_once_then_found(server, tmp_path, kind, capsys):
    path = fetching.find(file(server.url, kind=kind))
    assert path == tmp_path / "cache/set/data.bin" and path.read_bytes() == CONTENT
    assert "100%" in capsys.readouterr().err  # the progress bar
    assert fetching.find(file(server.url, kind=kind)) == path
    assert len(server.state["asked"]) == 1 and left(tmp_path) == ["data.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_fetch_goes_on_where_it_broke_off(server, tmp_path, ranges):
    server.state |= {"stop_after": 300_000, "ranges": ranges}
    with pytest.raises(ConnectionError, match=r"set/data\.bin is not here and could not be fetched"):
        fetching.find(file(server.url))
    assert left(tmp_path) == ["data.bin.part"]
    received = (tmp_path / "cache/set/data.bin.part").stat().st_size
    assert 0 < received <= 300_000
    server.state["stop_after"] = None
    assert fetching.find(file(server.url)).read_bytes() == CONTENT
    assert server.state["asked"] == [None, f"bytes={received}-"] and left(tmp_path) == ["data.bin"]


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more"])
def test_a_part_as_long_as_the_file_is_fetched_anew(server, tmp_path, part):
    (tmp_path / "cache/set").mkdir(parents=True)
    (tmp_path / "cache/set/data.bin.part").write_bytes(part)
    assert fetching.find(file(server.url)).read_bytes() == CONTENT
    assert server.state["asked"] == [f"bytes={len(part)}-", None] and left(tmp_path) == ["data.bin"]


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_another_content_is_refused_and_thrown_away(server, tmp_path, kind):
    server.state["content"] = b"<html>please log in</html>"
    with pytest.raises(ValueError, match=rf"sent something else than set/data\.bin \(its {kind.upper()} differs\)"):
        fetching.find(file(server.url, kind=kind))
    assert left(tmp_path) == []


def test_a_spoiled_cache_is_fetched_anew(server, tmp_path):
    path = fetching.find(file(server.url))
    path.write_bytes(CONTENT[:1000])
    assert fetching.find(file(server.url)).read_bytes() == CONTENT and left(tmp_path) == ["data.bin"]


def test_the_next_address_where_the_first_fails(server):
    nowhere = "http://127.0.0.1:9/data.bin"
    assert fetching.find(file(nowhere, server.url)).read_bytes() == CONTENT


def test_no_address_answers(server, tmp_path):
    server.state["status"] = 404
    with pytest.raises(ConnectionError, match=r"ConnectionError; .*HTTPError.* put it below the folder that ESGD_DATA"):
        fetching.find(file("http://127.0.0.1:9/data.bin", server.url))
    assert left(tmp_path) == []


def test_what_is_given_goes_first(server, tmp_path, monkeypatch):
    own = tmp_path / "own"
    (own / "set").mkdir(parents=True)
    monkeypatch.setenv("ESGD_DATA", str(own))
    assert fetching.given("set/data.bin") is None
    (own / "set/data.bin").write_bytes(b"mine")
    assert fetching.find(file(server.url)) == own / "set/data.bin" and server.state["asked"] == []
    monkeypatch.setenv("ESGD_DATA", str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match=r"ESGD_DATA must name the folder .*nothing is not a folder"):
        fetching.find(file(server.url))


def test_two_that_start_together_fetch_once(server):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetching.find(file(server.url)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4 and len(server.state["asked"]) == 1
