"""As much of CUDA's driver API (libcuda) as a test program needs: no toolkit, no compiler.

One device, the first that the process sees. `Cuda` raises OSError where there is no library and
CudaError where a call says no.
"""

import ctypes
from typing import Any

MIB = 2**20

THREADS, BLOCKS = 256, 8192
"""Of one launch: enough to fill the largest card several times."""

ROUNDS = 8192
"""Makes a launch last some milliseconds."""

_SPIN = b"""
.version 6.3
.target sm_70
.address_size 64
.visible .entry spin(.param .u64 sink, .param .u32 rounds) {
  .reg .pred %again;
  .reg .u64 %sink;
  .reg .u32 %left;
  .reg .f32 %a, %b, %c;
  ld.param.u64 %sink, [sink];
  ld.param.u32 %left, [rounds];
  mov.f32 %a, 0f3F800000;
  mov.f32 %b, 0f3F000000;
  mov.f32 %c, 0f3F000000;
more:
  fma.rn.f32 %a, %a, %b, %c;
  fma.rn.f32 %a, %a, %b, %c;
  fma.rn.f32 %a, %a, %b, %c;
  fma.rn.f32 %a, %a, %b, %c;
  sub.u32 %left, %left, 1;
  setp.ne.u32 %again, %left, 0;
  @%again bra more;
  st.global.f32 [%sink], %a;
  ret;
}
\0"""
"""A kernel that only computes. Text for the driver's own compiler, for cards since Volta."""

_SMS = 16
"""CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT."""


class CudaError(Exception):
    """A call said no; the text is CUDA's name for it, as CUDA_ERROR_OUT_OF_MEMORY."""


class Cuda:
    """A context on the card, memory in it, and work for it."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libcuda.so.1")
        self._held: list[ctypes.c_uint64] = []
        self._function: ctypes.c_void_p | None = None
        self._call("cuInit", ctypes.c_uint(0))
        self._device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(self._device), ctypes.c_int(0))
        context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device)
        self._call("cuCtxSetCurrent", context)

    def sms(self) -> int:
        """Return how many multiprocessors the process may use."""
        count = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(count), ctypes.c_int(_SMS), self._device)
        return count.value

    def memory(self) -> tuple[int, int]:
        """Return what is free and what there is in all, as CUDA tells this process; MiB."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value // MIB, total.value // MIB

    def take(self, mib: int) -> None:
        """Allocate, as cudaMalloc does."""
        place = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(mib * MIB))
        self._held.append(place)

    def release(self) -> None:
        """Give back all that was allocated."""
        while self._held:
            self._call("cuMemFree_v2", self._held.pop())

    def spin(self) -> None:
        """Keep the card busy for some milliseconds, always with the same work."""
        if not self._held:
            self.take(1)
        self._launch(self._held[0], ROUNDS)

    def fail(self) -> None:
        """Write where nothing is, which the driver reports as an XID error of a program."""
        self._launch(ctypes.c_uint64(0), 1)

    def _launch(self, sink: ctypes.c_uint64, rounds: int) -> None:
        count = ctypes.c_uint(rounds)
        given = (ctypes.c_void_p * 2)(ctypes.addressof(sink), ctypes.addressof(count))
        shape = [ctypes.c_uint(each) for each in (BLOCKS, 1, 1, THREADS, 1, 1, 0)]
        self._call("cuLaunchKernel", self._kernel(), *shape, None, given, None)
        self._call("cuCtxSynchronize")

    def _kernel(self) -> ctypes.c_void_p:
        if self._function is None:
            module, found = ctypes.c_void_p(), ctypes.c_void_p()
            self._call("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(_SPIN))
            self._call("cuModuleGetFunction", ctypes.byref(found), module, b"spin")
            self._function = found
        return self._function

    def _call(self, name: str, *given: Any) -> None:
        code = int(getattr(self._lib, name)(*given))
        if code:
            text = ctypes.c_char_p()
            self._lib.cuGetErrorName(ctypes.c_int(code), ctypes.byref(text))
            raise CudaError((text.value or str(code).encode()).decode())
