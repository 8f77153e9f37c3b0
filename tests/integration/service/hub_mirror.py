"""A mirror of a model hub on loopback: the part of the hub's HTTP interface that fetching a pinned revision uses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

REVISION = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub_mirror(repository: str, folder: Path, *, extra_names: Iterable[str] = ()) -> Iterator[str]:
    """Serve *folder* as *repository* at `REVISION`, and list *extra_names* too; yield the endpoint."""

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in {f"/api/models/{repository}", f"/api/models/{repository}/revision/{REVISION}"}:
                self._json(self._listing())
            elif path == f"/api/models/{repository}/tree/{REVISION}":
                self._json(self._tree())
            elif path.startswith(f"/{repository}/resolve/{REVISION}/"):
                self._file(folder / path.rpartition(f"{REVISION}/")[2])
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RevisionNotFound" if repository in path else "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _listing(self) -> dict[str, object]:
            names = [{"rfilename": each["path"]} for each in self._tree()] + [{"rfilename": each} for each in extra_names]
            about = {"id": repository, "modelId": repository, "sha": REVISION, "cardData": {"license": "apache-2.0"}}
            return {**about, "siblings": names}

        def _tree(self) -> list[dict[str, object]]:
            files = sorted(each for each in folder.rglob("*") if each.is_file())
            digests = {each: hashlib.sha256(each.read_bytes()).hexdigest() for each in files}
            return [
                {
                    "type": "file",
                    "path": each.relative_to(folder).as_posix(),
                    "size": each.stat().st_size,
                    "oid": digests[each][:40],
                }
                for each in files
            ]

        def _json(self, document: object) -> None:
            self._send(json.dumps(document).encode(), "application/json", None)

        def _file(self, file: Path) -> None:
            body = file.read_bytes()
            self._send(body, "application/octet-stream", hashlib.sha256(body).hexdigest())

        def _send(self, body: bytes, kind: str, etag: str | None) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", REVISION)
            if etag:
                self.send_header("ETag", f'"{etag}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
