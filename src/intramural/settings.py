"""
What an operator may set: `INTRAMURAL_HOME/intramural.toml`, and `INTRAMURAL_*` in the environment, which wins.

Everything the platform keeps lies under the home; nothing else is read or written.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from intramural.domain.value import Value, faults_of
from intramural.errors import InvalidInput, Unavailable
from intramural.vault.providers import ProviderName

FILE = "intramural.toml"
PREFIX = "INTRAMURAL_"
NOT_SETTINGS = {"INTRAMURAL_HOME", "INTRAMURAL_DEBUG"}


class Settings(Value):
    """The operator's choices."""

    home: Path
    parallel_runs: Annotated[int, Field(ge=1, le=256)] = 1
    """Runs that may be under way at once."""
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = 15.0
    """How long a dead scheduler holds its runs."""
    warm: bool = True
    """Keep a process with the libraries imported, so that runs start at once."""
    warm_idle_minutes: Annotated[float, Field(gt=0)] = 15.0
    hub_endpoint: str | None = None
    """A mirror of the model hub; `HF_ENDPOINT` is read too."""
    vault_url: str | None = None
    """Where sealed bytes and base models lie, if not in the home: `s3://BUCKET/PREFIX`."""
    vault_endpoint: str | None = None
    """The address of an S3 server that is not Amazon's."""
    region: str | None = None
    """Where this machine is, as the policy and the data sets call it, such as `eu-central-1`."""
    spot: bool = False
    """This machine can be taken away at any moment."""
    keys_provider: ProviderName = "local"
    """Who holds the key that wraps all others: `local`, `keyring`, `openbao`, `aws`, `gcp` or `pkcs11`."""
    keys_key: str | None = None
    """The provider's name of that key; for AWS its id, ARN or alias, for Google its whole resource name."""
    keys_address: str | None = None
    """The URL of OpenBao, the region or endpoint of AWS, or `MODULE?token=LABEL` of PKCS#11."""
    keys_secret_file: Path | None = None
    """A file, readable for its owner alone, with the passphrase, API credential or PIN that the provider wants."""
    keys_per_dataset: bool = True
    """Give every data set a provider key of its own, where the provider can destroy one at once."""
    audit_keep_access_days: Annotated[int, Field(ge=1)] | None = None
    """How long the audit trail keeps who read or exported content; `audit prune` takes older bodies, none keeps them."""
    audit_keep_change_days: Annotated[int, Field(ge=1)] | None = None
    """The same for what members changed."""
    audit_keep_run_days: Annotated[int, Field(ge=1)] | None = None
    """The same for runs that the platform started and ended."""
    audit_keep_refusal_days: Annotated[int, Field(ge=1)] | None = None
    """The same for refusals."""


def load_settings(home: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of *home* (default: INTRAMURAL_HOME, else the user's data folder). Raises `InvalidInput`."""
    home = (home or _home(environment)).absolute()
    chosen: dict[str, Any] = {**_from_file(home / FILE), **_from_environment(environment)}
    known = [each for each in Settings.model_fields if each != "home"]
    for key in chosen:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            raise InvalidInput(
                f"Unknown setting `{key}` in {FILE} or {PREFIX}{key.upper()}.",
                hint=f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}.",
            )
    chosen.setdefault("hub_endpoint", environment.get("HF_ENDPOINT") or None)
    try:
        return Settings(home=home, **chosen)
    except ValidationError as error:
        first = faults_of(error)[0]
        raise InvalidInput(f"Setting `{'.'.join(map(str, first['loc']))}`: {first['msg']}.", hint=f"Mend {FILE}.") from None


def _home(environment: Mapping[str, str]) -> Path:
    given = environment.get("INTRAMURAL_HOME")
    if given:
        return Path(given).expanduser()
    from platformdirs import user_data_path  # noqa: PLC0415  only where nothing is set

    return user_data_path("intramural", appauthor=False)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return _flat(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not TOML: {error}.", hint="Mend the file.") from None
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}.", hint="Set INTRAMURAL_HOME to a folder of yours."
        ) from error


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a table under the table's name: `provider` in `[keys]` is `keys_provider`."""
    pairs: dict[str, Any] = {}
    for name, found in document.items():
        pairs |= {f"{name}_{key}": each for key, each in found.items()} if isinstance(found, dict) else {name: found}
    return pairs


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = [each for each in environment if each.startswith(PREFIX) and each not in NOT_SETTINGS]
    return {each.removeprefix(PREFIX).lower(): environment[each] for each in names}
