"""What the verbs of data sets tell the intake to look for: treatments, denied terms, and the key of surrogates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intramural.domain.views import DatasetOptions
from intramural.sealing import ScopeKey

if TYPE_CHECKING:
    from intramural.intake.findings.screen import Screening

RULES_CACHE = "cache/secret-rules"


def screening_of(options: DatasetOptions, scope_key: ScopeKey, home: Path) -> Screening:
    """Return the screening that *options* ask for; surrogates come from the data set's own key and go with it."""
    from intramural.intake.findings.denied import read_terms  # noqa: PLC0415  only these verbs read files
    from intramural.intake.findings.screen import Screening  # noqa: PLC0415

    return Screening(
        classification=options.classification,
        said=options.on,
        denied=read_terms(Path(options.deny)) if options.deny is not None else (),
        key=HKDF(SHA256(), 32, salt=None, info=b"intramural surrogates").derive(scope_key.secret),
        cache_folder=home / RULES_CACHE,
    )
