// The tiled kernel of one side and one type, loadable.
#include <tiled_gemm.cu>

#include "hosted.h"

LOADABLE(gemm_make_params)
LOADABLE(gemm_run)
