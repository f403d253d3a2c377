# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""Test-only build of _core: every store counts down and may end or stop the process.

``arm(stores, action)`` lets ``stores`` stores through and acts at the next one, after it was made.
``skip_checks(True)`` leaves out the reader's second look at the sequence: the deliberately broken
build that the torn-record detector must catch. ``tear(memory, stores, write)`` leaves memory as
``write`` would have left it, had its process died behind that store. Only tests and worlds import
this; no engine does.
"""

cdef extern from *:
    """
    #include <signal.h>
    #include <stdint.h>
    #include <string.h>
    #include <unistd.h>
    #define LL_FAULT_EXIT_CODE 86
    int64_t ll_stores_left = -1;
    int64_t ll_stores_made = 0;
    int ll_fault_action = 0;
    int ll_skip_checks = 0;
    void *ll_kept = 0;
    const void *ll_torn = 0;
    size_t ll_torn_bytes = 0;
    void ll_stored(void) {
        ll_stores_made++;
        if (ll_stores_left < 0 || --ll_stores_left >= 0) return;
        if (ll_fault_action == 3) {
            memcpy(ll_kept, ll_torn, ll_torn_bytes);
            return;
        }
        if (ll_fault_action == 0) _exit(LL_FAULT_EXIT_CODE);
        raise(ll_fault_action == 1 ? SIGSTOP : SIGKILL);
    }
    """
    long long ll_stores_left
    long long ll_stores_made
    int ll_fault_action
    int ll_skip_checks_value "ll_skip_checks"
    int LL_FAULT_EXIT_CODE
    void *ll_kept
    const void *ll_torn
    size_t ll_torn_bytes

include "_core.pyx"

FAULT_EXIT_CODE = LL_FAULT_EXIT_CODE
FAULT_EXIT = 0
FAULT_STOP = 1
FAULT_KILL = 2
_FAULT_KEEP = 3


def arm(long long stores, int action=0):
    """Let stores stores through, then _exit(86), SIGSTOP or SIGKILL; -1 disarms."""
    global ll_stores_left, ll_fault_action
    if action not in (FAULT_EXIT, FAULT_STOP, FAULT_KILL):
        raise ValueError(f"action was {action}, expected 0, 1 or 2")
    ll_fault_action = action
    ll_stores_left = stores


def tear(memory, long long stores, write):
    """Run write, then put memory back to what it was behind that many of its stores, at least one.

    Returns whether it made so many; otherwise memory is as write left it. Single-threaded only.
    """
    global ll_stores_left, ll_fault_action, ll_kept, ll_torn, ll_torn_bytes
    if stores < 1:
        raise ValueError(f"stores was {stores}, expected at least 1")
    cdef unsigned char[::1] live = memory
    kept = bytearray(live.shape[0])
    cdef unsigned char[::1] copy = kept
    ll_kept, ll_torn, ll_torn_bytes = &copy[0], &live[0], live.shape[0]
    ll_fault_action = _FAULT_KEEP
    ll_stores_left = stores - 1
    try:
        write()
        struck = ll_stores_left < 0
    finally:
        ll_stores_left = -1
        ll_kept, ll_torn, ll_torn_bytes = NULL, NULL, 0
    if struck:
        live[:] = copy
    return struck


def stores_made():
    """Return how many stores this process has made."""
    return ll_stores_made


def skip_checks(bint skip):
    """Turn the second look at the sequence off (True) or on."""
    global ll_skip_checks_value
    ll_skip_checks_value = skip
