"""A real MLflow tracking server on loopback, and runs in it that people could have made."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from contextlib import contextmanager, suppress

START = 1_793_620_800_000
"""Noon of 2 November 2026, in milliseconds."""
HOUR = 3_600_000
SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}


@contextmanager
def tracking_server(folder):
    """Start a server on a database in *folder*; yield its address and end it."""
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--no-serve-artifacts"]
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **SILENT}, stdout=log, stderr=log, start_new_session=True
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _await(address, process, folder / "server.log")
            yield address
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port():
    """Return a port that is free, below those that the system hands out to whoever asks for any."""
    while True:
        port = random.randrange(10_000, 15_000)  # noqa: S311 - any will do
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def _await(address, process, log):
    until = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=20):  # noqa: S310  loopback
                return
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, "the server did not start in time"
            time.sleep(0.1)


def fill(address, *, runs=4, experiment="tickets"):
    """Put an experiment into the store at *address*: finished runs an hour long, a failed and a running one."""
    os.environ.update(SILENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient  # noqa: PLC0415  its import is what is silenced

        client = MlflowClient(tracking_uri=address)
        where = client.create_experiment(experiment)
        for number in range(runs):
            begin = START + number * HOUR
            run = client.create_run(where, start_time=begin, run_name=f"sft-{number}", tags={"note": "SECRET tag"})
            for key, text in (("world_size", "4"), ("lora_r", "16"), ("prompt", "SECRET parameter")):
                client.log_param(run.info.run_id, key, text)
            status = {0: "FAILED", 1: "RUNNING"}.get(number, "FINISHED")
            if status != "RUNNING":
                client.set_terminated(run.info.run_id, status=status, end_time=begin + HOUR)
