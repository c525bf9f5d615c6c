"""Settings from a YAML file, from options of the command line, or from both: options win."""

from pathlib import Path

import pydantic

from .. import documents
from ..config import MdConfig


def md_settings(inputs: list[Path], options: dict) -> MdConfig:
    """Settings of ``ketmap md MODEL STRUCTURE [options]`` or ``ketmap md CONFIG.yaml [options]``.

    :raises ConfigError: what was found, and what was expected, by line of the file or name of the option.
    """
    if "output" in options:
        options["output"] = str(options["output"])
    if len(inputs) == 1 and inputs[0].suffix in (".yaml", ".yml"):
        config = inputs[0]
        settings = documents.load(config, MdConfig)
        beside = {name: str(config.parent / getattr(settings, name)) for name in ("model", "structure")}
        options = settings.model_dump(exclude_unset=True) | beside | options
    elif len(inputs) == 2:
        options = {"model": str(inputs[0]), "structure": str(inputs[1])} | options
    else:
        found = " ".join(map(str, inputs))
        raise documents.ConfigError(f"found {found}, expected MODEL STRUCTURE or CONFIG.yaml; see ketmap md --help")
    try:
        return MdConfig.model_validate(options)
    except pydantic.ValidationError as error:
        spelling = {name: "--" + name.replace("_", "-") for name in options}
        raise documents.ConfigError(documents.explain(error, spelling)) from None
