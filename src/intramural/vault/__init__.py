"""
Bytes by digest: base models, data sets, artifacts.

Plain today; sealed under the customer's key later, without a change outside this room.
"""

from intramural.vault.blobs import disk_errors
from intramural.vault.tree import Tree, TreeFile
from intramural.vault.vault import Vault

__all__ = ["Tree", "TreeFile", "Vault", "disk_errors"]
