"""Another config for engines at work: whole or not at all, between two turns.

``Reloads`` knows those of one process, all three in ``fused``, one each in ``spread``; which keys
may change at all, and who changes first, is the supervisor's business.
"""

from typing import TYPE_CHECKING

import msgspec

from lowlat.risk.limits import LimitsParams
from lowlat.wiring.ports import Settings

if TYPE_CHECKING:
    from lowlat.execution.engine import ExecutorEngine
    from lowlat.risk.engine import RiskEngine
    from lowlat.signals.engine import SignalsEngine
    from lowlat.signals.module import Mode, Module

__all__ = ["Reloads", "limits_on_rungs", "modules_at_work"]


def limits_on_rungs(config: Settings) -> LimitsParams:
    """Let risk size onto what the executor keeps signed, unless the config says otherwise."""
    if config.limits.size_rungs_e6:
        return config.limits
    return msgspec.structs.replace(config.limits, size_rungs_e6=config.execution.template_rungs_e6)


def modules_at_work(config: Settings) -> frozenset[str]:
    """Return the modules that look after what they own: those whose signals are sent."""
    return frozenset(
        name for name, each in config.modules.items() if each.mode not in {"off", "shadow"}
    )


class Reloads:
    """Brings the engines of one process from one config to the next."""

    def __init__(
        self,
        config: Settings,
        *,
        signals: "SignalsEngine | None" = None,
        risk: "RiskEngine | None" = None,
        executor: "ExecutorEngine | None" = None,
    ) -> None:
        """``config``: what the engines were made with."""
        self._config = config
        self._signals = signals
        self._risk = risk
        self._executor = executor

    def apply(self, config: Settings, generation: int) -> None:
        """Run on config from here on. Raises ConfigError, and changes nothing, when it cannot be.

        The executor comes first: it is the last to look at an order.
        """
        limits = limits_on_rungs(config)
        limits.validate()
        modules = self._modules(config, self._signals) if self._signals is not None else None
        if self._executor is not None:
            self._executor.reload(config.execution)
        if self._risk is not None:
            self._risk.reload(limits, generation, modules_at_work(config))
        if self._signals is not None and modules is not None:
            self._signals.reload(modules)
        self._config = config

    def _modules(
        self, config: Settings, signals: "SignalsEngine"
    ) -> "list[tuple[Module, Mode]] | None":
        """Return the modules to work with, those kept that need not be made; None: no change."""
        from lowlat.wiring.modules import build_module, mode_of, module_names

        if config.modules == self._config.modules:
            return None
        at_work = signals.modules
        found = []
        for name in module_names(config):
            now, before = config.modules[name], self._config.modules.get(name)
            if before is None or before.params != now.params or name not in at_work:
                if now == before:
                    # It raised and was switched off: it stays off until somebody changes it.
                    continue
                found.append(build_module(config, name))
            else:
                found.append((at_work[name][0], mode_of(now)))
        return found
