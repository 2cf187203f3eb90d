"""Java programs that tests run: whether they can be built here, and their build, once for the present sources."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

JAVA_NEEDED = 17


class BuildError(RuntimeError):
    """Maven could not build a program."""


def missing(folder: Path) -> str | None:
    """None if the program of the folder can be built and run here, else the reason, for a test to state."""
    java = shutil.which("java")
    if java is None:
        return "no java on this machine"
    banner = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', banner)
    if version is None or int(version[1]) < JAVA_NEEDED:
        return f"java {JAVA_NEEDED} or newer is needed, this is: {banner.strip()}"
    absent = [tool for tool in ("mvn", "javac") if shutil.which(tool) is None]
    return f"no {absent[0]} on this machine" if absent and not is_built(folder) else None


def build(folder: Path) -> Path:
    """Compile the program and gather its libraries, unless done for the present sources; gives ``target``.

    Maven is first asked to work offline, which suffices once its local repository is filled.
    """
    target = folder / "target"
    with (folder / "pom.xml").open() as lock:  # of parallel test workers one builds and the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_built(folder):
            return target
        for mode in (["--offline"], []):
            shutil.rmtree(target, ignore_errors=True)  # or libraries of two versions would mix
            command = ["mvn", "--quiet", "--batch-mode", *mode, "process-classes"]
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if result.returncode == 0:
                target.mkdir(exist_ok=True)
                (target / "built-from").write_text(_fingerprint(folder), encoding="ascii")
                return target
        raise BuildError(f"Maven cannot build {folder.name}:\n{result.stdout}{result.stderr}")


def is_built(folder: Path) -> bool:
    """Whether ``target`` is of the present sources."""
    stamp = folder / "target" / "built-from"
    return stamp.is_file() and stamp.read_text(encoding="ascii") == _fingerprint(folder)


def _fingerprint(folder: Path) -> str:
    """A digest of what the build depends on; contents, for a checkout gives files new times."""
    digest = hashlib.sha256()
    for source in [folder / "pom.xml", *sorted(path for path in folder.glob("src/**/*") if path.is_file())]:
        digest.update(source.read_bytes())
    return digest.hexdigest()
