"""The SDK: every verb as a typed method over one wire."""

from intramural.client.client import Client
from intramural.client.transport import Transport

__all__ = ["Client", "Transport"]
