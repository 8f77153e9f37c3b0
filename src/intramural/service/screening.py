"""What the verbs of data sets tell the intake: what to look for, with which key of surrogates, and who reads the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intramural.domain.confinement import check_level
from intramural.domain.dataset import Classification
from intramural.domain.views import DatasetOptions
from intramural.sealing import ScopeKey
from intramural.service.context import Context
from intramural.service.policies import show_policy
from intramural.service.present_policy import adopt_policy

if TYPE_CHECKING:
    from intramural.intake.crew import Team
    from intramural.intake.findings.screen import Screening
    from intramural.intake.sources import Source

RULES_CACHE = "cache/secret-rules"


def screening_of(options: DatasetOptions, scope_key: ScopeKey, home: Path) -> Screening:
    """Return the screening that *options* ask for; surrogates come from the data set's own key and go with it."""
    from intramural.intake.findings.denied import read_terms  # noqa: PLC0415  only these verbs read files
    from intramural.intake.findings.names import check_model  # noqa: PLC0415
    from intramural.intake.findings.screen import Screening  # noqa: PLC0415

    if options.names is not None:
        check_model(options.names)
    return Screening(
        classification=options.classification,
        said=options.on,
        denied=read_terms(Path(options.deny)) if options.deny is not None else (),
        names=options.names,
        key=HKDF(SHA256(), 32, salt=None, info=b"intramural surrogates").derive(scope_key.secret),
        cache_folder=home / RULES_CACHE,
    )


def readers(ctx: Context, classification: Classification, source: Source) -> AbstractContextManager[Team | None]:
    """
    Return the processes that read the files of *source*; they start while the block goes on.

    Whoever waits for them gets `Refused` where the policy wants firmer walls than this machine has.
    """
    from intramural.intake.crew import Team  # noqa: PLC0415  only these verbs read files

    start = ctx.start_reader
    if start is None:
        return nullcontext()
    adopt_policy(ctx)
    required = show_policy(ctx).policy.of(classification).isolation

    @contextmanager
    def start_firmly(
        module: str, arguments: Sequence[str], *, pass_fds: Sequence[int], read_only: Sequence[str]
    ) -> Iterator[None]:
        check_level(ctx.level(), required, classification)
        with start(module, arguments, pass_fds=pass_fds, read_only=read_only):
            yield

    return Team(start_firmly, source.files, rules=ctx.home / RULES_CACHE)
