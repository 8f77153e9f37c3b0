"""The files a person gives in a leak test: good ones, and every kind of bad one, each with canaries where content stands."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

from intramural.app.leak_test.canaries import Nest
from intramural.domain.leaks import Planted

ROWS = 40
MANY_ROWS = 60_000
HUGE = 65 << 20
"""More than a line may have."""


class Given:
    """Writes the files into a folder; remembers what each is for."""

    def __init__(self, folder: Path, nest: Nest) -> None:
        self.folder, self._nest = folder, nest
        self.bad: list[Path] = []
        """Each must be refused by `data add`."""
        folder.mkdir()
        self.named = folder / f"{nest.lay('name of a source file', Planted.NAME).text}.jsonl"
        self._write_good()
        self._write_bad_text()
        self._write_bad_packed()
        self._write_settings()
        self._write_labelled()
        self.said = {
            name: nest.lay(f"{name} that a person gave", Planted.SAID).text
            for name in ("purpose", "provenance", "reason", "hold")
        }
        """Free text that is kept."""
        self.said["refused"] = nest.lay("reason that was refused", Planted.NAME).text

    def _write_good(self) -> None:
        prompt, system, label, spare = map(
            self._nest.lay, ("prompt", "system prompt", "label value", "value of an unused field")
        )
        key, column = (self._nest.lay(each, Planted.FIELD) for each in ("key of an answer", "name of an unused field"))
        odd = self._nest.lay("name of a field that is no plain name")

        def rows(count: int, mark: str, origin: str) -> list[dict[str, Any]]:
            return [
                {
                    "messages": [
                        {"role": "system", "content": system.text},
                        {"role": "user", "content": f"{mark} {number} {origin}"},
                        {"role": "assistant", "content": json.dumps({key.latin: f"{label.text} {number % 3}", "sure": True})},
                    ],
                    column.latin: spare.text,
                    odd.text: number,
                }
                for number in range(count)
            ]

        _json_lines(self.named, rows(ROWS, prompt.text, "once"))
        self.traced = self.folder / "traced.jsonl"
        _json_lines(self.traced, rows(4, self._nest.lay("row asked about by data trace").text, "asked"))
        self.holdout = self.folder / "holdout.jsonl"
        _json_lines(self.holdout, rows(8, self._nest.lay("hold-out row").text, "kept"))
        self.many = self.folder / "many.jsonl"
        _json_lines(self.many, rows(MANY_ROWS, self._nest.lay("row of a command that was killed").text, "often"))
        self.packed = self.folder / "packed.jsonl.gz"
        mail, term = self._nest.lay("address in a row"), self._nest.lay("term of a deny-list")
        self.denied = self.folder / "denied.txt"
        self.denied.write_text(f"{term.latin}\n", encoding="utf-8")
        later = self._nest.lay("term of a deny-list of a redaction")
        self.denied_later = self.folder / "denied-later.txt"
        self.denied_later.write_text(f"{later.latin}\n{later.cyrillic}\n", encoding="utf-8")
        mark = f"{self._nest.lay('row of a packed file').text} {mail.latin}@example.org {term.latin} {later.text}"
        lines = [json.dumps(each) for each in rows(12, mark, "packed")]
        self.packed.write_bytes(gzip.compress("\n".join(lines).encode()))
        self._write_tables()

    def _write_tables(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - only here, and it is slow
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        cell, column = self._nest.lay("cell of a CSV file"), self._nest.lay("column of a CSV file").text
        self.table = self.folder / "table.csv"
        with self.table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(
                [["prompt", "completion", column], *([f"{cell.text} {n}", "yes", cell.latin] for n in range(12))]
            )
        cell = self._nest.lay("cell of a Parquet file")
        self.parquet = self.folder / "table.parquet"
        columns = {"prompt": [f"{cell.text} {n}" for n in range(12)], "completion": [cell.text] * 12}
        pq.write_table(pa.table(columns), self.parquet, compression="zstd")

    def _write_bad_text(self) -> None:
        text = self._nest.lay("row with a fault").text
        turn = {"role": "user", "content": text}
        self._bad("broken.jsonl", f'{{"messages": [{{"role": "user", "content": "{text}'.encode())
        self._bad("constant.jsonl", f'{{"prompt": "{text}", "completion": NaN}}'.encode())
        self._bad("nested.jsonl", (f'{{"prompt": {"[" * 3000}"{text}"').encode())
        self._bad("surrogate.jsonl", f'{{"prompt": "{text} \\ud800", "completion": "a"}}'.encode())
        self._bad("array.json", f'[{{"prompt": "{text}", "completion": "a"}}, {{"prompt": {text}}}]'.encode())
        self._bad("strange.jsonl", json.dumps({text: 1, f"{text} too": [text]}).encode())
        self._bad("scalar.jsonl", json.dumps(text).encode())
        self._bad("role.jsonl", json.dumps({"messages": [{"role": text, "content": text}]}).encode())
        self._bad("types.jsonl", json.dumps({"messages": [turn, {"role": "assistant", "content": {text: text}}]}).encode())
        self._bad("weight.jsonl", json.dumps({"messages": [turn, {**turn, "role": "assistant", "weight": text}]}).encode())
        self._bad("number.jsonl", json.dumps({"prompt": text, "completion": 10**400}).encode())
        self._bad("history.jsonl", json.dumps({"instruction": text, "output": text, "history": [[text]]}).encode())
        self._bad("quotes.csv", f'prompt,completion\n"{text}" {text},{text}\n"{text}'.encode())
        self._bad("ragged.csv", f"prompt,completion\n{text},{text},{text}\n".encode())
        self._bad("header.csv", f"{text},{text}\n1,2\n".encode())
        self._bad("bytes.csv", b"prompt,completion\n" + text.encode() + b"\xff,a\n")
        self._bad("wide.jsonl", json.dumps({"prompt": text, "completion": text}).encode("utf-16"))
        self._bad("huge.jsonl", b'{"prompt": "' + text.encode() + b"x" * HUGE + text.encode() + b'", "completion": "a"}')

    def _write_bad_packed(self) -> None:
        text = self._nest.lay("row of a damaged file").text
        good = json.dumps({"prompt": text, "completion": text}).encode() * 200
        self._bad("damaged.jsonl.gz", gzip.compress(good)[:-20])
        self._bad("damaged.parquet", self.parquet.read_bytes()[:-40] + text.encode() + b"PAR1")

    def _write_settings(self) -> None:
        value, key = self._nest.lay("value in a tune.yaml").text, self._nest.lay("unknown key in a tune.yaml", Planted.NAME)
        start = "name: a\nbase: tiny\ndata: rows\n"
        self.bad_tunes = [self.folder / f"tune-{number}.yaml" for number in range(6)]
        for path, text in zip(
            self.bad_tunes,
            (
                f"{start}train: {{steps: '{value}'}}\n",
                f"{start}class: '{value}'\n",
                f"{start}{key.latin}: 1\n",
                f"{start}train: &a {value}\n",
                f"{start}train: '{value}\n",
                f"name: '{value}'\nbase: tiny\ndata: rows\n",
            ),
            strict=True,
        ):
            path.write_text(text, encoding="utf-8")

    def _write_labelled(self) -> None:
        text, label = self._nest.lay("text of a labelled sample").text, self._nest.lay("label that is no plain name").text
        plain = self._nest.lay("label of a sample", Planted.FIELD).latin
        mail = f"{self._nest.lay('address in a labelled sample').latin}@example.org"
        line = f"{text} {mail} {self.denied.read_text(encoding='utf-8').strip()}"
        spans = [{"kind": kind, "start": 0, "end": 12} for kind in ("person", plain, label)]
        spans.append({"kind": "email", "start": len(text) + 1, "end": len(text) + 1 + len(mail)})
        self.labelled = self.folder / "labelled.jsonl"
        _json_lines(self.labelled, [{"text": line, "spans": spans}] * 12)
        self.bad_labelled = [self.folder / f"labelled-{number}.jsonl" for number in range(4)]
        bad: list[dict[str, Any]] = [
            {"text": text, "spans": text},
            {"text": {text: text}, "spans": []},
            {"text": text, "spans": [{"kind": label, "start": 0, "end": text}]},
            {"text": text, "spans": [text]},
        ]
        for path, row in zip(self.bad_labelled, bad, strict=True):
            _json_lines(path, [row])

    def _bad(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.write_bytes(content)
        self.bad.append(path)


def _json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
