"""The variable-length face: a plain kernel with FlashAttention's meaning gives what the padded rows give."""

import pytest
import torch

from intramural.workloads.attention import Segments, causal_segments
from intramural.workloads.decoder import FlatPass, _attend
from intramural.workloads.passes import TokenExample, lay_out, layout

CPU = torch.device("cpu")


def plain_kernel(q, k, v, query_ends, key_ends, longest_queries, longest_keys):
    """Attention segment by segment; query n of m sees the keys up to the end less m - 1 - n, as FlashAttention documents it."""
    outs = []
    queries, keys = query_ends.tolist(), key_ends.tolist()
    for n in range(len(queries) - 1):
        mine, theirs = q[queries[n] : queries[n + 1]], slice(keys[n], keys[n + 1])
        assert len(mine) <= longest_queries
        assert keys[n + 1] - keys[n] <= longest_keys
        ks, vs = (each[theirs].repeat_interleave(q.shape[1] // k.shape[1], dim=1) for each in (k, v))
        scores = torch.einsum("qhd,khd->hqk", mine, ks) * q.shape[-1] ** -0.5
        allowed = torch.ones(len(mine), len(ks), dtype=torch.bool).tril_(len(ks) - len(mine))
        outs.append(torch.einsum("hqk,khd->qhd", scores.masked_fill(~allowed, float("-inf")).softmax(-1), vs))
    return torch.cat(outs)


@pytest.mark.parametrize("shared", [0, 5])
def test_segments_attend_as_padded_rows_do(shared):
    prefix = list(range(shared))
    examples = [
        TokenExample([*prefix, *range(20 + n, 23 + 3 * n)], [False] * (shared + 2) + [True] * (1 + 2 * n)) for n in range(4)
    ]
    (part,) = lay_out(examples, range(4), pass_tokens=200)
    laid = layout(examples, part)
    flat = FlatPass.of(laid, CPU)
    torch.manual_seed(1)
    q, k, v = (torch.randn(len(laid.ids), heads, 8, dtype=torch.float64) for heads in (4, 2, 2))

    by_rows = _attend(q, k, v, flat)
    by_segments = causal_segments(q, k, v, Segments.of(laid, CPU), plain_kernel).reshape(len(laid.ids), -1)

    assert laid.prefix == shared
    torch.testing.assert_close(by_segments, by_rows)
