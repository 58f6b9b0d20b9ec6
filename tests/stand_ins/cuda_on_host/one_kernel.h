// The tiled kernel for one TILE, as SOURCE has it, under names of its own that end in KERNEL, a number;
// included once for each.
#define WITH_KERNEL_(name, kernel) name##_##kernel
#define WITH_KERNEL(name, kernel) WITH_KERNEL_(name, kernel)
#define gemm_params_bytes WITH_KERNEL(gemm_params_bytes, KERNEL)
#define gemm_shared_bytes WITH_KERNEL(gemm_shared_bytes, KERNEL)
#define gemm_threads WITH_KERNEL(gemm_threads, KERNEL)
#define gemm_make_params WITH_KERNEL(gemm_make_params, KERNEL)
#define gemm_run WITH_KERNEL(gemm_run, KERNEL)

namespace WITH_KERNEL(kernel, KERNEL) {
#include SOURCE

Entry const entry(KERNEL, {gemm_params_bytes, gemm_shared_bytes, gemm_threads, gemm_make_params,
                           gemm_run});
}

#undef gemm_params_bytes
#undef gemm_shared_bytes
#undef gemm_threads
#undef gemm_make_params
#undef gemm_run
