"""`python -m training.synth`: the same as `fallwatch synth`."""

import argparse
import sys

from training.synth.cli import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="fallwatch synth", description="render synthetic training clips")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
