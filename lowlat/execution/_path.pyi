# Types of the executor's compiled path; behaviour is documented in _path.pyx.

from typing import final

from lowlat.core._ends import TurnEnd
from lowlat.execution._order import IntentView
from lowlat.execution.desk import OrderDesk
from lowlat.execution.engine import ExecutorEngine
from lowlat.execution.params import ExecutorParams
from lowlat.execution.ports import ExecutorPorts
from lowlat.execution.sender import OrderSender
from lowlat.execution.templates import TemplatePool

__all__ = ["PlainPath"]

@final
class PlainPath(TurnEnd):
    is_open: bool
    epoch: int
    def __init__(
        self,
        engine: ExecutorEngine,
        ports: ExecutorPorts,
        view: IntentView,
        sender: OrderSender,
        desk: OrderDesk,
        pool: TemplatePool,
        params: ExecutorParams,
    ) -> None: ...
    def take(self, now_ns: int) -> int: ...
