"""What a run says of the GPU it was given."""

from pathlib import Path

import pytest
import torch

from intramural.workloads import machine


@pytest.fixture
def a_node(monkeypatch):
    """A machine with the node of a GPU that PyTorch cannot use."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter([Path("/dev/nvidia0")]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_a_build_without_cuda_is_named(a_node, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)

    assert machine.idle_gpu() == "this PyTorch is built without CUDA"


def test_what_cuda_says_is_told_in_one_sentence(a_node, monkeypatch):
    def fails():
        raise RuntimeError("Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before?")

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", fails)

    assert machine.idle_gpu() == "Unexpected error from cudaGetDeviceCount()"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_gpu_that_an_operator_hid_is_not_spoken_of(a_node, monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)

    assert machine.idle_gpu() is None


def test_where_there_is_none_nothing_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter(()))

    assert machine.idle_gpu() is None
    assert machine.peak_gpu_memory() is None
