/* Tell callgrind to count, or not to. Without it under it each of these is a handful of no-ops. */
#include <valgrind/callgrind.h>

void begin(void) { CALLGRIND_START_INSTRUMENTATION; }

void end(void) { CALLGRIND_STOP_INSTRUMENTATION; }
