"""What `gemm_make_params` makes of a problem, held against formulas; README.md has more."""
