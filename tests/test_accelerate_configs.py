"""The launch configurations of recipes/ are what `accelerate launch` reads them as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parents[1] / "recipes" / "accelerate"


def launched(name: str) -> Any:
    """What `accelerate launch --config_file` makes of a file."""
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    path = CONFIGS / name
    config = load_config_from_file(str(path))
    assert isinstance(config, ClusterConfig), "an unknown key is refused when it is loaded"
    assert (config.num_processes, config.mixed_precision) == (8, "bf16")
    told = launch_command_parser().parse_args(["--config_file", str(path), "-m", "autollmresearch"])
    args, _, _ = _validate_launch_command(told)
    return args


def test_fsdp_is_what_accelerate_reads() -> None:
    args = launched("fsdp.yaml")
    assert args.use_fsdp
    assert not args.use_deepspeed
    told = {name: str(getattr(args, f"fsdp_{name}")) for name in ("version", "state_dict_type", "auto_wrap_policy")}
    assert told == {
        "version": "2",
        "state_dict_type": "FULL_STATE_DICT",
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    }


def test_zero2_is_what_accelerate_reads() -> None:
    args = launched("deepspeed_zero2.yaml")
    assert args.use_deepspeed
    assert not args.multi_gpu
    assert (args.zero_stage, args.zero3_init_flag) == (2, False)
    assert (args.gradient_accumulation_steps, args.gradient_clipping) == ("auto", "auto")
    assert (args.offload_optimizer_device, args.offload_param_device) == ("none", "none")
