"""Writes quantize/iq_grid_table.c: the codebooks of the IQ types, as the Python
package gguf holds them (they are facts of the format).

    python3 tests/oracle/make_iq_grids.py > quantize/iq_grid_table.c
"""
import numpy as np
from gguf import quants

GRIDS = [
    ("iq1_grid", quants.IQ1_S),
    ("iq2_xxs_grid", quants.IQ2_XXS),
    ("iq2_xs_grid", quants.IQ2_XS),
    ("iq2_s_grid", quants.IQ2_S),
    ("iq3_xxs_grid", quants.IQ3_XXS),
    ("iq3_s_grid", quants.IQ3_S),
]


def entries(cls):
    """One number per grid row: the codes of its values, the first lowest."""
    cls.init_grid()
    grid = cls.grid.reshape(cls.grid_shape)
    codes = np.searchsorted(np.array(cls.grid_map, dtype=np.float32), grid)
    bits = 16 // cls.grid_shape[1]
    return (codes << (bits * np.arange(cls.grid_shape[1]))).sum(axis=1)


def main():
    print("/* iq_grid_table.c - made by tests/oracle/make_iq_grids.py from the Python package gguf. */")
    print('#include "quantize/value_table.h"')
    for name, cls in GRIDS:
        e = entries(cls)
        print(f"\nconst uint16_t {name}[{len(e)}] = {{")
        for i in range(0, len(e), 12):
            print("    " + " ".join(f"0x{v:04x}," for v in e[i:i + 12]))
        print("};")


main()
