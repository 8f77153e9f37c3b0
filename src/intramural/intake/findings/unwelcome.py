"""
Text that is meant for a model, not for a reader: orders to forget, turn marks, invisible characters.

It finds the plain forms. Whoever rewrites them is not found; that is what evaluation is for.
"""

from __future__ import annotations

import re

_FORGET = r"(?:ignore|disregard|forget|override|bypass)"
_ALL = r"(?:(?:all|any|every|the|your|of|these|those|my)\s+){0,3}"
_EARLIER = r"(?:previous|prior|above|earlier|preceding|foregoing|system|initial|original)"
_ORDERS = r"(?:instructions?|prompts?|rules?|directions?|guidelines?|messages?|context|commands?)"

INJECTION = re.compile(
    rf"(?P<forget>(?<!\w){_FORGET}\s+{_ALL}{_EARLIER}\s+{_ORDERS}(?!\w))"
    rf"|(?P<reveal>(?<!\w)(?:reveal|print|show|repeat|output|leak|tell\s+me)\s+{_ALL}(?:system|hidden|initial)\s+{_ORDERS}(?!\w))"
    r"|(?P<role>(?<!\w)you\s+are\s+now\s+(?:DAN|in\s+developer\s+mode|jailbroken|unrestricted)(?!\w))"
    r"|(?P<turn_mark><\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id)\|>"
    r"|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>)",
    re.IGNORECASE,
)

INJECTION_ANCHORS = (
    rb"(?i)(?:ignore|disregard|forget|override|bypass)\s+(?:[a-z]+\s+){0,3}(?:prev|prio|abov|earl|prec|fore|syst|init|orig)[a-z]",
    rb"(?i)(?:reveal|print|show|repeat|output|leak|tell\s+me)\s+(?:[a-z]+\s+){0,3}(?:system|hidden|initial)",
    rb"(?i)you\s+are\s+now\s+(?:dan|in\s|jail|unre)",
    rb"(?i)<\|(?:im_|sys|use|ass|end|eot|sta)",
    rb"(?i)\[/?INST\]",
    rb"(?i)<</?SYS>>",
    rb"(?i)<(?:start|end)_of_turn>",
)

HIDDEN = re.compile("[\U000e0000-\U000e007f]+|[\u202a-\u202e\u2066-\u2069]|[\u200b-\u200d\u2060\ufeff]{3,}")
HIDDEN_ANCHOR = (
    rb"\xf3\xa0[\x80-\x81]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]|(?:\xe2\x80[\x8b-\x8d]|\xe2\x81\xa0|\xef\xbb\xbf){3}"
)
