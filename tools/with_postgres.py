"""Run a command with a PostgreSQL server of its own: ``with_postgres.py COMMAND [ARGUMENT ...]``.

The server lives in a folder that goes away with it and listens on loopback; its URL is in the
command's LOWLAT_TEST_POSTGRES. Needs PostgreSQL's server programs (Debian: ``postgresql``).
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path


def programs() -> Path:
    """Return the folder of initdb and postgres."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if initdb is None:
        sys.exit(
            "with_postgres: no initdb found: install postgresql (Debian: apt install postgresql)"
        )
    return Path(initdb).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(command: list[str]) -> int:
    bin_, port = programs(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="lowlat-postgres-"))
    # The server refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    data = str(folder / "data")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

    def run(*arguments: str) -> None:
        subprocess.run(arguments, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        run(str(bin_ / "initdb"), "-D", data, "-A", "trust", "-U", "lowlat")
        log = str(folder / "log")
        run(str(bin_ / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", log, "start")
        try:
            url = f"postgresql+psycopg://lowlat@127.0.0.1:{port}/postgres"
            return subprocess.run(
                command, check=False, env=os.environ | {"LOWLAT_TEST_POSTGRES": url}
            ).returncode
        finally:
            run(str(bin_ / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
