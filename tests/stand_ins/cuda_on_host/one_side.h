// The tiled kernel for one TILE, under names of its own; included once for each side.
#define WITH_SIDE_(name, side) name##_##side
#define WITH_SIDE(name, side) WITH_SIDE_(name, side)
#define gemm_params_bytes WITH_SIDE(gemm_params_bytes, TILE)
#define gemm_shared_bytes WITH_SIDE(gemm_shared_bytes, TILE)
#define gemm_threads WITH_SIDE(gemm_threads, TILE)
#define gemm_make_params WITH_SIDE(gemm_make_params, TILE)
#define gemm_run WITH_SIDE(gemm_run, TILE)

namespace WITH_SIDE(side, TILE) {
#include <tiled_gemm.cu>

Entry const entry(TILE, {gemm_params_bytes, gemm_shared_bytes, gemm_threads, gemm_make_params,
                         gemm_run});
}

#undef gemm_params_bytes
#undef gemm_shared_bytes
#undef gemm_threads
#undef gemm_make_params
#undef gemm_run
