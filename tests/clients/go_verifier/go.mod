// The required module is not fetched: `x_mod` is the copy that the Go toolchain carries (see ../test_independent.py).
module strongroom.invalid/go_verifier

go 1.22

require golang.org/x/mod v0.0.0

replace golang.org/x/mod => ./x_mod
