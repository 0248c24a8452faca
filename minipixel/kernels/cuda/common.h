// What all kernels share. REAL is float or double; maps are (slots, N, K), their numbers counted in one row from 0.
//
// Every loop goes by the size of the grid and of the block, whatever they are. So a kernel is right for any number of
// threads, a single one too, and can be compiled as plain C++ and compared with its definition on a machine without a
// GPU. No kernel uses atomics: each number is written by one thread, and sums are added up in one order.
#define EACH(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += gridDim.x * blockDim.x)
#define OF_BLOCK(i, n) for (int i = threadIdx.x; i < (n); i += blockDim.x)
#define KERNEL extern "C" __global__ void
#ifndef SHARED
#define SHARED(type, name) extern __shared__ type name[]
#endif

__device__ inline REAL sigmoid(REAL x) {  // no exponent is positive, so nothing overflows
    return exp(x < 0 ? x : (REAL)0) / (1 + exp(x < 0 ? x : -x));
}

#define GELU_LINEAR ((REAL)1.5957691216057308)
#define GELU_CUBIC ((REAL)0.07135481627260025)

__device__ inline REAL near_zero(REAL x) {
    return x > 20 ? (REAL)20 : x < -20 ? (REAL)-20 : x;
}

__device__ inline REAL gelu_gate(REAL x) {
    const REAL near = near_zero(x);
    return sigmoid(near * (GELU_LINEAR + GELU_CUBIC * near * near));
}

// The sum over a block of what each of its threads has, for each of them; `room` has a place for every thread.
__device__ inline REAL sum_of_block(REAL own, REAL* room) {
    room[threadIdx.x] = own;
    for (int n = blockDim.x, half; n > 1; n = half) {  // n sums are left; those of the upper half join the others
        half = (n + 1) / 2;
        __syncthreads();
        if (threadIdx.x + half < n) room[threadIdx.x] += room[threadIdx.x + half];
    }
    __syncthreads();
    const REAL sum = room[0];
    __syncthreads();
    return sum;
}
