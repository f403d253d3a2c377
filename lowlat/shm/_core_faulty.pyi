from collections.abc import Callable

from typing_extensions import Buffer

from lowlat.shm._core import CELL_BYTES as CELL_BYTES
from lowlat.shm._core import GATE_BYTES as GATE_BYTES
from lowlat.shm._core import GATES_MAX as GATES_MAX
from lowlat.shm._core import HISTOGRAM_BYTES as HISTOGRAM_BYTES
from lowlat.shm._core import HISTOGRAM_CELLS as HISTOGRAM_CELLS
from lowlat.shm._core import TABLE_CELLS as TABLE_CELLS
from lowlat.shm._core import TABLE_ROW_HEAD_BYTES as TABLE_ROW_HEAD_BYTES
from lowlat.shm._core import Cell as Cell
from lowlat.shm._core import Histogram as Histogram
from lowlat.shm._core import StreamReader as StreamReader
from lowlat.shm._core import StreamWriter as StreamWriter
from lowlat.shm._core import TableReader as TableReader
from lowlat.shm._core import TableWriter as TableWriter
from lowlat.shm._core import histogram_index as histogram_index
from lowlat.shm._core import histogram_low_ns as histogram_low_ns
from lowlat.shm._core import load_acquire as load_acquire
from lowlat.shm._core import store_release as store_release

FAULT_EXIT_CODE: int
FAULT_EXIT: int
FAULT_STOP: int
FAULT_KILL: int

def arm(stores: int, action: int = 0) -> None: ...
def tear(memory: Buffer, stores: int, write: Callable[[], object]) -> bool: ...
def stores_made() -> int: ...
def skip_checks(skip: bool) -> None: ...
