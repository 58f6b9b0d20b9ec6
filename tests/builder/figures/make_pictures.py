"""Draw the committed pictures anew: run it after a change that is meant to be seen, and look."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1]), str(HERE)]


def main() -> None:
    """Write each picture of the tests."""
    from stand_ins.pictured import FIGURES, picture
    from test_pictures import DPI, PICTURES

    for name in FIGURES:
        (PICTURES / f"{name}.png").write_bytes(picture(name).png(DPI))


if __name__ == "__main__":
    main()
