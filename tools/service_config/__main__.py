"""Write the service configs: `python -m tools.service_config DIRECTORY`."""

import sys
from pathlib import Path

from tools.service_config.configs import configs, text_of

directory = Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
for name, config in configs().items():
    (directory / name).write_text(text_of(config), encoding="utf-8")
