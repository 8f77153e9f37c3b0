"""`intramural schema`: the JSON Schema of the files people write."""

from __future__ import annotations

import click

from intramural.cli.output import json_option, write_json, write_text


@click.command()
@click.argument("name", type=click.Choice(["tune", "profile", "policy"]))
@json_option
def schema(name: str, as_json: bool) -> None:
    """Print the JSON Schema of the file NAME.yaml, for editors and checkers."""
    import json  # noqa: PLC0415

    from intramural.domain.descriptions import described  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.policy import PolicyFile  # noqa: PLC0415
    from intramural.domain.profile_schema import profile_schema  # noqa: PLC0415
    from intramural.domain.spec import JobSpec  # noqa: PLC0415

    found = profile_schema() if name == "profile" else described(JobSpec if name == "tune" else PolicyFile)
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": f"{name}.yaml"}
    write_json(document) if as_json else write_text(json.dumps(document, indent=2))
