"""What `benches/run` and `benches/clean-up` are made of."""

from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
TOP = HERE.parent
