"""Compare: `python -m tools.drift COMMITTED FRESH`. Exits with 1 if there is anything to tell."""

import json
import sys
from pathlib import Path

from gateway.schema.services import COMMAND_SERVICES
from tools.drift.facts import difference
from tools.drift.protos import lacking
from tools.drift.report import report

committed, fresh = (json.loads(Path(it).read_text(encoding="utf-8")) for it in sys.argv[1:])
found = difference(committed, fresh)
lacks = tuple(lacking(fresh, COMMAND_SERVICES))
print("\n".join(report(committed, fresh, found, lacks)))
sys.exit(bool(found.gone or found.new or lacks))
