"""What every test may count on: nothing of this host decides, and the same answer each time.

Neither settings of the user's shell, nor other instances on the machine, nor what an earlier run
left behind may make a test pass or fail; nor how busy the machine is.
"""

import gc
import os
import uuid

import pytest
from hypothesis import HealthCheck, settings

from lowlat.shm import places

# Examples are the same in every run: what is found in a commit was there when it was checked.
# Fresh ones come with --hypothesis-profile=explore. Time is never a reason to fail.
settings.register_profile(
    "same",
    deadline=None,
    print_blob=True,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("explore", settings.get_profile("same"), derandomize=False)
settings.load_profile("same")

OF_THE_SHELL = {
    # They change what commands print ...
    "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "LINES", "NO_COLOR", "PY_COLORS",
    # ... and whom processes speak to or believe.
    "ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY",
    "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
    # With it each process would compile what it imports anew, which takes as long as importing.
    "PYTHONDONTWRITEBYTECODE",
}  # fmt: skip


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    """Collect no garbage while a failure is told.

    Its text is made with ``ast``. A finalizer that tells of an error at that moment makes a tree
    too, and CPython 3.11 has one depth for both: a SystemError would hide the failure.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return (yield)
    finally:
        if collects:
            gc.enable()


@pytest.fixture(autouse=True, scope="session")
def own_surroundings(tmp_path_factory):
    """Take the shell's settings away; no test reaches the user's run and state directories."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.upper() in OF_THE_SHELL]:
            patch.delenv(name)
        live_in(folder, patch)
        yield


def live_in(folder, patch):
    """Make run and state directories in a folder the ones that are used."""
    (folder / "run").mkdir(mode=0o700)
    patch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    patch.setenv("XDG_STATE_HOME", str(folder / "state"))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Private run and state directories."""
    live_in(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def instance(home):
    """A name that nobody else on the machine has; its segments are removed afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    for segment in places.segment_names(name):
        os.unlink(places.segment_file(name, segment))
