// SPDX-License-Identifier: Apache-2.0
//
// @FILE@: runtime, power and energy of matrix multiplications on @GPU@,
// without a GPU. One ES module, for Node, Deno, Bun and browsers: no dependency, nothing to wait for.
// Its answers are those of the Python package gpperf-lite @PACKAGE_VERSION@, bit for bit.
//
//     import { predict } from "./@FILE@";
//     const p = predict({ m: 4096, n: 4096, k: 4096, dtype: "@FIRST_DTYPE@" });
//     console.log(`${p.runtimeS} s, from ${p.runtimeLowS} to ${p.runtimeHighS} s`);
//
// Model:   @MODEL@, version @VERSION@
// Dtypes:  @KNOWN_DTYPES@
// Kernels: @N_KERNELS@, such as @SOME_KERNELS@
// Sizes:   @N_BYTES@ bytes of tables; the artefact has @ARTEFACT_BYTES@
// SHA-256: @SHA256@ (of the artefact)
@NOTES@
