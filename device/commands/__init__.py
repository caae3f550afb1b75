"""The subcommands of `fallwatch`, one file each: `add_arguments(parser)` and `run(args) -> exit code`."""
