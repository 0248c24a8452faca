// The steps of an LSTM over a map, ops/scan.py: one block per image, since a step needs the states of the one before.

#define LANES 16

// A block with more threads than other kernels have, which share the registers of a multiprocessor.
#define OF_IMAGES extern "C" __global__ void __launch_bounds__(512)

// The place of channel k of gate q (o, f, i, g) in a cell, which has LANES numbers of each gate in turn.
__device__ inline int gate_at(int q, int k, int K) {
    const int first = k / LANES * LANES, width = K - first < LANES ? K - first : LANES;
    return 4 * first + q * width + k - first;
}

// gates (P, N, 4K) hold what comes from the input, and in the end the gates; c and h (P + start states, N, K). Cell s
// reads h at table[s * T + t] by weight w (T, K, 4K), and c at above[s]. Step r has the cells from starts[r] on.
OF_IMAGES scan(REAL* gates, REAL* c, REAL* h, const REAL* w, const int* table, const int* above, const int* starts,
               int steps, int T, int N, int K) {
    for (int n = blockIdx.x; n < N; n += gridDim.x) {
        for (int r = 0; r < steps; r++) {
            const int first = starts[r], cells = starts[r + 1] - first;
            OF_BLOCK(j, cells * 4 * K) {
                const int s = first + j / (4 * K), q = j % (4 * K);
                REAL sum = gates[(s * N + n) * 4 * K + q];
                for (int t = 0; t < T; t++) {
                    const int there = table[s * T + t];
                    if (there < 0) continue;
                    const REAL* states = h + (there * N + n) * K;
                    for (int k = 0; k < K; k++) sum += states[k] * w[(t * K + k) * 4 * K + q];
                }
                gates[(s * N + n) * 4 * K + q] = sum;
            }
            __syncthreads();
            OF_BLOCK(j, cells * K) {
                const int s = first + j / K, k = j % K, here = (s * N + n) * K + k;
                REAL* cell = gates + (s * N + n) * 4 * K;
                const REAL o = sigmoid(cell[gate_at(0, k, K)]), f = sigmoid(cell[gate_at(1, k, K)]);
                const REAL i = sigmoid(cell[gate_at(2, k, K)]), g = tanh(cell[gate_at(3, k, K)]);
                c[here] = f * c[(above[s] * N + n) * K + k] + i * g;
                h[here] = o * tanh(c[here]);
                cell[gate_at(0, k, K)] = o;
                cell[gate_at(1, k, K)] = f;
                cell[gate_at(2, k, K)] = i;
                cell[gate_at(3, k, K)] = g;
            }
            __syncthreads();
        }
    }
}

// What the readers of state s send back to its channel k.
__device__ inline REAL from_readers(const REAL* gates_g, const REAL* turned, const int* start, const int* readers, int s,
                                    int n, int k, int T, int N, int K) {
    REAL sum = 0;
    for (int e = start[s]; e < start[s + 1]; e++) {
        const REAL* g = gates_g + (readers[e] / T * N + n) * 4 * K;
        const REAL* w = turned + readers[e] % T * 4 * K * K;
        for (int q = 0; q < 4 * K; q++) sum += g[q] * w[q * K + k];
    }
    return sum;
}

// The way back. h_g (P + start states, N, K) has the gradient of the states from all other readers, and gets the whole;
// gates_g gets that of what came from the input; c_g (columns, N, K), 0 at first, is that of the cell states below, by
// `column`; to_start (P, N, K) gets what goes to the first cell state. `turned` is the weight as (T, 4K, K).
OF_IMAGES scan_x(const REAL* gates, const REAL* c, REAL* gates_g, REAL* h_g, REAL* c_g, REAL* to_start,
                 const REAL* turned, const int* start, const int* readers, const int* above, const int* column,
                 const int* starts, int steps, int T, int N, int K, int P, int states) {
    for (int n = blockIdx.x; n < N; n += gridDim.x) {
        for (int r = steps - 1; r >= 0; r--) {
            const int first = starts[r], cells = starts[r + 1] - first;
            OF_BLOCK(j, cells * K) {
                const int s = first + j / K, k = j % K, here = (s * N + n) * K + k;
                const REAL* cell = gates + (s * N + n) * 4 * K;
                const REAL o = cell[gate_at(0, k, K)], f = cell[gate_at(1, k, K)];
                const REAL i = cell[gate_at(2, k, K)], g = cell[gate_at(3, k, K)];
                const REAL g_here = h_g[here] + from_readers(gates_g, turned, start, readers, s, n, k, T, N, K);
                const REAL t = tanh(c[here]);
                REAL* below = c_g + (column[s] * N + n) * K + k;
                const REAL to_c = *below + g_here * o * (1 - t * t);
                REAL* back = gates_g + (s * N + n) * 4 * K;
                h_g[here] = g_here;
                back[gate_at(0, k, K)] = g_here * t * o * (1 - o);
                back[gate_at(1, k, K)] = to_c * c[(above[s] * N + n) * K + k] * f * (1 - f);
                back[gate_at(2, k, K)] = to_c * g * i * (1 - i);
                back[gate_at(3, k, K)] = to_c * i * (1 - g * g);
                const int begins = above[s] >= P;
                to_start[here] = begins ? to_c * f : (REAL)0;
                *below = begins ? (REAL)0 : to_c * f;
            }
            __syncthreads();
        }
        OF_BLOCK(j, (states - P) * K) {
            const int s = P + j / K, k = j % K;
            h_g[(s * N + n) * K + k] += from_readers(gates_g, turned, start, readers, s, n, k, T, N, K);
        }
    }
}
