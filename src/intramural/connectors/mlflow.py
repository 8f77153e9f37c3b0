"""
Runs of an MLflow tracking server or local store, through MLflow's own client.

Only what a run is (name, state, times) and the tags and parameters that the caller names leave this
module: what else people logged is dropped page by page as it comes. Nothing is written, and nothing
is told to anyone: MLflow's usage tracking is off before its client is imported.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from intramural.errors import IntramuralError, InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 1000
EXPERIMENTS_AT_ONCE = 100
DAY_MS = 86_400_000
_SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # a folder of runs is still what many have
}
"""What an operator may set otherwise in the environment."""
_REMOTE = ("http://", "https://")
_DATABASE = ("sqlite://", "postgresql", "mysql", "mssql")
_SQLITE = b"SQLite format 3\x00"
HINT = "Name a tracking server (http://HOST:PORT), a folder mlruns, or a database mlflow.db."

OnRead = Callable[[int], None]
"""Told how many runs have been read."""


def is_tracking(source: str) -> bool:
    """Tell whether *source* is the address of a tracking server, a database of one, or a folder of runs."""
    if source.startswith((*_REMOTE, *_DATABASE)):
        return True
    path = Path(source)
    try:
        if path.is_dir():
            return path.name == "mlruns" or (path / "mlruns").is_dir() or any(path.glob("*/meta.yaml"))
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except (OSError, ValueError):
        return False


def fetch_runs(
    source: str,
    *,
    params: Collection[str],
    tags: Collection[str],
    days: float,
    on_read: OnRead = lambda done: None,
    page: int = PAGE,
) -> list[dict[str, Any]]:
    """Return the runs of the *days* before the newest one of each experiment, with only the named *params* and *tags*.

    Raises `Unavailable` when the server does not answer, `NotFound` and `InvalidInput` when it is none.
    """
    with _translated(source):
        client = _client(_address(source))
        runs: list[dict[str, Any]] = []
        for names in _experiments(client):
            for run in _runs(client, list(names), days, page):
                runs.append(_plain(run, names, params, tags))
                if len(runs) % page == 0:
                    on_read(len(runs))
        on_read(len(runs))
        return runs


def shown(source: str) -> str:
    """Return what may be printed of *source*: never the user and password of an address."""
    parts = urlsplit(source)
    if source.startswith((*_REMOTE, *_DATABASE)) and parts.hostname:
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    return Path(source.partition("?")[0]).name


def _address(source: str) -> str:
    """Return what MLflow's client takes. A file of a database is opened for reading alone."""
    file = re.fullmatch(r"sqlite:///(?!file:)([^?]+)", source)
    if source.startswith((*_REMOTE, *_DATABASE)) and not file:
        return source
    path = Path(file.group(1) if file else source).absolute()
    if not path.exists():
        raise NotFound(f"{path.name} is not there.", hint=HINT)
    if path.is_dir():
        return (path / "mlruns" if (path / "mlruns").is_dir() else path).as_uri()
    return f"sqlite:///file:{path}?mode=ro&uri=true"


def _client(address: str) -> MlflowClient:
    """Import MLflow's client, quiet and silent. Raises `Unavailable` when it is not installed."""
    os.environ.update(_SILENT)
    for name, text in _DEFAULTS.items():
        os.environ.setdefault(name, text)
    try:
        from mlflow import MlflowClient  # noqa: PLC0415 - two seconds, and only with the extra
        from mlflow.telemetry import set_telemetry_client  # noqa: PLC0415 - as above
    except ImportError as error:
        raise Unavailable(
            "MLflow's client is not installed.", hint="pip install 'intramural[mlflow]', or export the runs as a table."
        ) from error
    set_telemetry_client()  # looks at the environment again: somebody may have imported it before
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=address)


def _experiments(client: MlflowClient) -> Iterator[dict[str, str]]:
    """Yield the names of experiments by id, some at a time."""
    token = None
    while True:
        page = client.search_experiments(max_results=EXPERIMENTS_AT_ONCE, page_token=token)
        yield {each.experiment_id: each.name for each in page}
        token = page.token
        if not token:
            return


def _runs(client: MlflowClient, experiments: list[str], days: float, size: int) -> Iterator[Any]:
    """Yield runs, newest first, until they are older than *days* before the first."""
    token, oldest = None, None
    while experiments:
        page = client.search_runs(experiments, max_results=size, order_by=["attributes.start_time DESC"], page_token=token)
        for run in page:
            oldest = (run.info.start_time or 0) - days * DAY_MS if oldest is None else oldest
            if (run.info.start_time or 0) < oldest:
                return
            yield run
        token = page.token
        if not token:
            return


def _plain(run: Any, experiments: dict[str, str], params: Collection[str], tags: Collection[str]) -> dict[str, Any]:
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name or "",
        "experiment": experiments.get(run.info.experiment_id, ""),
        "status": run.info.status,
        "start_ms": run.info.start_time,
        "end_ms": run.info.end_time,
        "tags": {key: text for key, text in run.data.tags.items() if key in tags},
        "params": {key: text for key, text in run.data.params.items() if key in params},
    }


@contextmanager
def _translated(source: str) -> Iterator[None]:
    """Turn what MLflow and its transports raise into an error of ours; their texts may hold an address' password."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the libraries' own quarrels
            yield
    except IntramuralError:
        raise
    except Exception as error:
        raise _error(source, error) from None


def _error(source: str, error: Exception) -> IntramuralError:
    name, place = type(error).__name__, shown(source)
    status = getattr(error, "get_http_status_code", lambda: 0)()
    text = str(error)
    if source.startswith(_REMOTE) and _is_away(error, text):
        return Unavailable(
            f"The tracking server {place} does not answer.",
            hint="Start it or check the address; MLFLOW_HTTP_REQUEST_TIMEOUT sets how many seconds to wait.",
        )
    if status in {401, 403} or "UNAUTHENTICATED" in text or "PERMISSION_DENIED" in text:
        return InvalidInput(
            f"The tracking server {place} wants credentials.",
            hint="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
        )
    if "out-of-date database schema" in text or "Can't locate revision" in text:
        return InvalidInput(f"{place} is of another version of MLflow.", hint="Name its tracking server instead.")
    if isinstance(error, ModuleNotFoundError):
        return Unavailable(
            f"To read {place} the module {error.name} is missing.", hint="Install it, or name the tracking server's address."
        )
    return InvalidInput(f"{place} is no MLflow tracking server or store ({name}).", hint=HINT)


def _is_away(error: Exception, text: str) -> bool:
    away = ("Max retries exceeded", "Connection refused", "ConnectionError", "timed out", "Timeout", "Name or service")
    return isinstance(error, (ConnectionError, TimeoutError)) or any(each in text for each in away)
