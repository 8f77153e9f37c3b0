"""
Bytes by digest: base models, data sets, artifacts.

Base models as they are; everything that came from customer data sealed. Who holds the
customer's key is in `vault.providers`.
"""

from intramural.vault.blobs import disk_errors
from intramural.vault.tree import Tree, TreeFile
from intramural.vault.vault import Vault

__all__ = ["Tree", "TreeFile", "Vault", "disk_errors"]
