"""The instruction sets of the CPU, read without torch, so that ``check_env`` can do it too."""

import re
from pathlib import Path


def cpu_flags(cpuinfo: Path = Path('/proc/cpuinfo')) -> set[str]:
    """Return the instruction sets that Linux lists ('flags' on x86, 'Features' on ARM), if it lists
    any.
    """
    if not cpuinfo.exists():
        return set()
    found = re.search(
        r'^(?:flags|Features)\s*:\s*(.*)$', cpuinfo.read_text(errors='replace'), re.MULTILINE
    )
    return set(found.group(1).split()) if found else set()
