"""Run by the interpreter that has the two other converters: answers each line with what one round took.

``python _converters.py SAMPLES``: each line of standard input is one converter's name; the answer is a JSON object
with the seconds and the number of resources that it made, the samples together.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from ccda_to_fhir import convert_document
from fhir_converter.renderers import CcdaRenderer

logging.disable(logging.CRITICAL)
RENDERER = CcdaRenderer()
CONVERTERS: dict[str, Any] = {
    "python-fhir-converter": lambda text: RENDERER.render_fhir_string("CCD", text),
    "ccda-to-fhir": lambda text: convert_document(text)["bundle"],
}


def main() -> None:
    """Answer until the input ends; what the converters print goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    gc.collect()  # as adapter.memory does it for ours
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(sys.argv[1]).glob("*.xml"))]
    for line in sys.stdin:
        convert = CONVERTERS[line.strip()]
        convert(texts[0])  # untimed
        start = time.process_time()
        made = [convert(text) for text in texts]
        seconds = time.process_time() - start
        count = sum(len((json.loads(one) if isinstance(one, str) else one)["entry"]) for one in made)
        print(json.dumps({"seconds": seconds, "resources": count, "samples": len(texts)}), file=answers, flush=True)


if __name__ == "__main__":
    main()
