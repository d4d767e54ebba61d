"""Write the reference of the API: `python -m tools.reference DOCS_DIRECTORY`."""

import shutil
import sys
from pathlib import Path

from tools.archive.packing import descriptors_of
from tools.reference.pages import pages

docs = Path(sys.argv[1])
shutil.rmtree(docs / "reference", ignore_errors=True)
(docs / "reference").mkdir(parents=True)
for name, text in pages(descriptors_of(Path(__file__).parents[2])).items():
    (docs / name).write_text(text, encoding="utf-8")
