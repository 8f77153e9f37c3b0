"""Tables, statements and transactions: SQLAlchemy Core, portable SQL, SQLite today."""

from intramural.store.store import Reading, Store, Transaction, not_writable

__all__ = ["Reading", "Store", "Transaction", "not_writable"]
