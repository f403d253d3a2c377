"""Signal modules by the config: made at the start, made anew or kept when the config changes."""

from importlib.metadata import entry_points

from lowlat.signals.module import Mode, Module, load_modules, make_module
from lowlat.wiring.ports import ModuleSettings, Settings

__all__ = ["build_module", "build_modules", "mode_of", "module_names"]


def build_modules(config: Settings) -> list[tuple[Module, Mode]]:
    """Make every module that is not off; raises ConfigError for unknown names and bad values."""
    return [build_module(config, name) for name in module_names(config)]


def build_module(config: Settings, name: str) -> tuple[Module, Mode]:
    """Make one module; raises ConfigError when nobody provides it or its values are bad."""
    kind = load_modules([name], entry_points(group="lowlat.signals"))[name]
    return make_module(kind, config.modules[name].params), mode_of(config.modules[name])


def module_names(config: Settings) -> list[str]:
    """Return the names of the modules that are not off."""
    return [name for name, module in config.modules.items() if module.mode != "off"]


def mode_of(settings: ModuleSettings) -> Mode:
    """Return a module's mode as engines know it."""
    return Mode[settings.mode.upper()]
