"""Turns ``raw-trigger.yaml`` into a :class:`Config`. Importing this loads neither YAML nor the models."""

from raw_trigger.config.loader import find_config, load_config
from raw_trigger.model.settings import Config, Position, Rule, default_config

__all__ = ["Config", "Position", "Rule", "default_config", "find_config", "load_config"]
