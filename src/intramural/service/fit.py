"""
Whether a job's parts fit together, and whether the machine can ever hold it; asked before it is queued.

What other jobs take now is no reason to refuse: the job waits for them, and its run looks
at the free memory when it starts.
"""

from __future__ import annotations

import shutil

from intramural.domain.adapter_targets import ALL_LINEAR, check_targets
from intramural.domain.dataset import DatasetVersion, ExampleKind
from intramural.domain.model import BaseModelVersion
from intramural.domain.spec import AUTO, JobSpec, Precision
from intramural.domain.views import Resolution
from intramural.errors import DoesNotFit, InvalidInput
from intramural.pages.words import count, parameters, size
from intramural.service.context import Context
from intramural.service.layers import layer_names

LIBRARY_BYTES = 500 << 20
"""What the libraries of a run take."""
SPARE_BYTES = 200 << 20
"""Disk that must stay free beside what a job writes."""
ADAPTER_STATE_BYTES = 12
"""Per trainable parameter in a checkpoint: the value and two moments, fp32."""


def check_fit(ctx: Context, spec: JobSpec, base: BaseModelVersion, data: DatasetVersion) -> Resolution:
    """Return what the job would use. Raises `InvalidInput` for parts that do not fit together, `DoesNotFit`."""
    _check_parts(spec, base, data)
    if spec.method.lora.targets != ALL_LINEAR:
        check_targets(spec.method.lora, layer_names(ctx, base.digest), base.name)
    fits = (
        f"{base.name} ({parameters(base.parameters)} parameters) and {data.label} ({count(data.train_examples)} examples) fit."
    )
    return Resolution(
        spec=spec,
        base_digest=base.digest,
        dataset_label=data.label,
        dataset_digest=data.digest,
        kind=data.kind,
        checks=(fits, _enough_disk(ctx, spec, base), _enough_memory(spec, base), *_many_threads(spec)),
    )


def _check_parts(spec: JobSpec, base: BaseModelVersion, data: DatasetVersion) -> None:
    if data.kind is not ExampleKind.CHAT:
        raise InvalidInput(
            f"{data.label} holds {data.kind} examples; method.kind sft trains on chat.",
            hint="Choose a chat data set, or add the rows as one: --map names which field is asked and which answers.",
        )
    if not data.train_examples:
        raise InvalidInput(f"{data.label} has no training example.", hint="Add a file with more rows.")
    length = spec.train.sequence_length
    if length != AUTO and length > base.context_tokens:
        raise InvalidInput(
            f"train.sequence_length {length} is more than the {base.context_tokens} tokens of {base.name}.",
            hint="Lower it, or leave it at auto.",
        )


def _enough_disk(ctx: Context, spec: JobSpec, base: BaseModelVersion) -> str:
    """Need: the kept checkpoints and one being written, the adapter twice (run and vault), a merged model if asked for."""
    # An all-linear adapter has about 2·r/width of the layers' weights; r/200 of all bounds it for widths from 400 up.
    adapter = base.parameters * spec.method.lora.rank // 200
    need = (spec.checkpoint.keep + 1) * adapter * ADAPTER_STATE_BYTES + 2 * 4 * adapter
    need += 2 * 4 * base.parameters if spec.method.merge else 0
    free = shutil.disk_usage(ctx.home).free
    if free < need + SPARE_BYTES:
        raise DoesNotFit(
            f"The job writes up to {size(need)}, and {size(SPARE_BYTES)} must stay free; {ctx.home} has {size(free)} free.",
            hint="Free disk space, lower checkpoint.keep, or set INTRAMURAL_HOME to a larger disk.",
            need_bytes=need,
            free_bytes=free,
        )
    return f"Disk: up to {size(need)} of {size(free)} free."


def _enough_memory(spec: JobSpec, base: BaseModelVersion) -> str:
    """Need at least the frozen weights in the format they are kept in, and what the libraries take."""
    need = base.parameters * (4 if spec.train.precision is Precision.FP32 else 2) + LIBRARY_BYTES
    have, whose = machine_memory(), "here a run may have"
    given = spec.resources.memory_gb
    if given != AUTO and given * 1e9 < have:
        have, whose = int(given * 1e9), "resources.memory_gb allows"
    if have < need:
        raise DoesNotFit(
            f"{base.name} needs at least {size(need)} of memory; {whose} {size(have)}.",
            hint="Choose a smaller base model, or give the job more memory.",
            need_bytes=need,
            have_bytes=have,
        )
    return f"Memory: at least {size(need)} of {size(have)}."


def _many_threads(spec: JobSpec) -> tuple[str, ...]:
    """Tell of more threads than cores, which is slow and no reason to refuse: the sums depend on how many there are."""
    from intramural.walls.machine import Machine  # noqa: PLC0415  as in `machine_memory`

    asked, cores = spec.resources.threads, Machine.here().processors
    if asked == AUTO or asked <= cores:
        return ()
    shared = f"{count(cores)} {'core' if cores == 1 else 'cores'}, which they share"
    return (f"Threads: {count(asked)} on {shared}; that is slower than `resources.threads: auto`.",)


def machine_memory() -> int:
    """Return the bytes of memory that a run may have here: the machine's or its control group's, less a reserve."""
    from intramural.walls.machine import Machine  # noqa: PLC0415  reading a queue does not need it

    machine = Machine.here()
    return machine.memory_bytes - machine.reserve_bytes
