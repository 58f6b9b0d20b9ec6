"""Numbers: every family of kernels, every dtype and layout, held against float64 on the device."""

from __future__ import annotations

import kernels
import numpy as np
import pytest

from builder.device import DeviceError
from builder.device.cuda import CudaDevice
from builder.kernels import Build
from builder.measure import Protocol, verify_build, verify_point
from gpperf_lite import Gemm, Program
from gpperf_lite._gemm import LAYOUTS
from gpperf_lite._kernel import LIBRARY
from gpperf_lite._limits import obstacle_on
