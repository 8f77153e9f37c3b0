"""Opens the platform of one home: settings to store, vault and context, and a client over them."""

from __future__ import annotations

import os
import pwd
import secrets
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

from intramural.app.model_builder import ProcessModelBuilder
from intramural.app.readers import ConfinedReaders
from intramural.app.run_control import LocalRunControl
from intramural.app.transport import LocalTransport
from intramural.client import Client
from intramural.domain.access import Actor, Role
from intramural.domain.audit import AuditRetention, Origin
from intramural.domain.confinement import Level
from intramural.domain.value import ProjectId
from intramural.errors import Unavailable
from intramural.service.audit_key import AuditKey
from intramural.service.context import ApproversFile, Context
from intramural.settings import Settings, load_settings
from intramural.store import Store, not_writable
from intramural.vault import Vault
from intramural.vault.providers import KeyChoice

PROJECT = ProjectId("default")
APPROVERS = Path("/etc/intramural/approvers")
"""No setting: whoever works with a home may change its settings, and must not choose who approves."""
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letters that are read as digits."""


def open_client(home: Path | None = None) -> Client:
    """Return a client that works in this process on *home*; nothing needs to be started."""
    return Client(LocalTransport(open_context(load_settings(home), local_user())), PROJECT)


def open_context(settings: Settings, actor: Actor) -> Context:
    """Return the context of *actor* over the parts of a home. Raises `Unavailable` when the home cannot be used."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close_to_others(settings.home)
    except OSError as error:
        raise not_writable(settings.home, error) from error
    return Context(
        store=_store(settings.home),
        vault=_vault(settings),
        home=settings.home,
        actor=actor,
        project=PROJECT,
        now=lambda: datetime.now(UTC),
        new_id=new_id,
        model_builder=ProcessModelBuilder(settings.hub_endpoint, settings.home),
        run_control=LocalRunControl(),
        hub_endpoint=settings.hub_endpoint,
        parallel_runs=settings.parallel_runs,
        keys=KeyChoice(
            folder=settings.home / "keys",
            provider=settings.keys_provider,
            key=settings.keys_key,
            address=settings.keys_address,
            secret_file=settings.keys_secret_file,
            per_dataset=settings.keys_per_dataset,
        ),
        region=settings.region,
        spot=settings.spot,
        level=machine_level,
        level_reasons=level_reasons,
        swap=out_of_swap,
        start_reader=ConfinedReaders(settings.home),
        origin=Origin(host=os.uname().nodename, uid=os.getuid(), pid=os.getpid()),
        audit_key=AuditKey(settings.home / "keys"),
        approvers=ApproversFile(APPROVERS),
        audit_retention=AuditRetention(
            **{kind: getattr(settings, f"audit_keep_{kind}_days") for kind in AuditRetention.model_fields}
        ),
    )


def _close_to_others(home: Path) -> None:
    """Take from others what they may do in a home of this user that was made beforehand; a folder of other things is left."""
    found = home.stat()
    is_ours = found.st_uid == os.getuid() and not found.st_mode & stat.S_ISVTX
    if found.st_mode & 0o077 and is_ours and ((home / "intramural.db").exists() or not any(home.iterdir())):
        home.chmod(stat.S_IMODE(found.st_mode) & ~0o077)


def machine_level() -> Level:
    """Return how firmly runs are confined on this machine; found out at the first question."""
    from intramural.walls.level import level  # noqa: PLC0415 - only a job asks, and the command line imports this module

    return level()


def level_reasons() -> tuple[str, ...]:
    """Return why runs are not confined more firmly on this machine."""
    from intramural.walls.level import reach  # noqa: PLC0415 - as above

    return reach().reasons


def _store(home: Path) -> Store:
    """Open the database. Raises `Unavailable` where it is away: a new one in its place would name nothing of what is there."""
    path = home / "intramural.db"
    if AuditKey(home / "keys").witnessed() and not (path.exists() and path.stat().st_size):
        raise Unavailable(
            f"{path} is not there, and this home was in use.",
            hint="Put it back, or restore it from a backup; to begin anew, move the whole home away.",
        )
    return Store.in_file(path)


def out_of_swap() -> str:
    """Return what keeps runs out of swap on this machine."""
    from intramural.walls.level import reach  # noqa: PLC0415 - as above

    return reach().swap


def _vault(settings: Settings) -> Vault:
    if settings.vault_url is None:
        return Vault.in_folder(settings.home / "vault")
    from intramural.vault.s3 import S3Blobs  # noqa: PLC0415 - an extra

    return Vault(S3Blobs(settings.vault_url, settings.home / "vault", settings.vault_endpoint))


def local_user() -> Actor:
    """Return whoever the operating system says runs this process; on one's own machine that is the owner."""
    number = os.getuid()
    try:
        login = pwd.getpwuid(number).pw_name
    except KeyError:
        login = str(number)
    return Actor(subject=f"user:{login}", role=Role.OWNER)


def scheduler_actor() -> Actor:
    """Return the platform's own actor."""
    return Actor(subject="system:scheduler", role=Role.SYSTEM)


def new_id(prefix: str) -> str:
    """Return `prefix-` and 14 letters: nine of the time in milliseconds, so that ids sort by age, and five random ones."""
    number = int(time.time() * 1000)
    stamp = ""
    for _ in range(9):
        number, digit = divmod(number, 32)
        stamp = ALPHABET[digit] + stamp
    return f"{prefix}-{stamp}{''.join(secrets.choice(ALPHABET) for _ in range(5))}"
