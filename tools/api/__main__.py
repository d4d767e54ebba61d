"""Write the document: `python -m tools.api FILE`."""

import sys
from pathlib import Path

from tools.api.document import document, text_of

Path(sys.argv[1]).write_text(text_of(document()), encoding="utf-8")
