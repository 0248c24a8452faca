// What reads other pixels. `table` (S, T) has the slot that each of S slots reads through each of T taps, -1 for none;
// the way back goes by lists: the readers of slot s, as reader * T + tap, stand from start[s] to start[s + 1].

KERNEL lay(const REAL* x, const int* table, REAL* columns, int S, int N, int T, int K) {
    EACH(i, S * N * T * K) {  // what a pixel reads, tap after tap: (S, N, T, K)
        const int k = i % K, t = i / K % T, n = i / (K * T) % N, s = i / (K * T * N);
        const int there = table[s * T + t];
        columns[i] = there < 0 ? (REAL)0 : x[(there * N + n) * K + k];
    }
}

KERNEL unlay(const REAL* columns, const int* start, const int* readers, REAL* x, int S, int N, int T, int K) {
    EACH(i, S * N * K) {  // the adjoint, added to x
        const int k = i % K, n = i / K % N, s = i / (K * N);
        REAL sum = x[i];
        for (int e = start[s]; e < start[s + 1]; e++)
            sum += columns[((readers[e] / T * N + n) * T + readers[e] % T) * K + k];
        x[i] = sum;
    }
}

KERNEL move(const REAL* x, const int* table, REAL* y, int S, int N, int K, int adds) {
    EACH(i, S * N * K) {
        const int k = i % K, n = i / K % N, there = table[i / (K * N)];
        if (there >= 0) y[i] = (adds ? y[i] : (REAL)0) + x[(there * N + n) * K + k];
    }
}

// Rows of a weight (T, C, Q, width) for codes (slots, N, C): added to all channels of y, or, with a step, to the part of
// each code's own channel.
KERNEL look_up(const REAL* codes, const int* table, const REAL* w, REAL* y, int S, int N, int T, int C, int Q, int step,
               int width) {
    const int K = step ? C * step : width;
    EACH(i, S * N * K) {
        const int k = i % K, n = i / K % N, s = i / (K * N);
        const int c0 = step ? k / step : 0, c1 = step ? c0 + 1 : C, column = step ? k % step : k;
        REAL sum = y[i];
        for (int t = 0; t < T; t++) {
            const int there = table[s * T + t];
            if (there < 0) continue;
            for (int c = c0; c < c1; c++) {
                const int q = (int)codes[(there * N + n) * C + c];
                sum += w[((t * C + c) * Q + q) * width + column];
            }
        }
        y[i] = sum;
    }
}

// The gradient of that weight, of P parts of the pixels: (P, T, C, Q, width). A block has a part, a tap and a channel to
// itself, and a thread some columns, so no two add to the same number.
KERNEL look_up_w(const REAL* codes, const int* table, const REAL* g, REAL* partial, int S, int N, int T, int C, int Q,
                 int step, int width, int P) {
    const int K = step ? C * step : width;
    for (int block = blockIdx.x; block < P * T * C; block += gridDim.x) {
        const int c = block % C, t = block / C % T, p = block / (C * T);
        REAL* own = partial + (long long)block * Q * width;
        const int first = (int)((long long)S * N * p / P), last = (int)((long long)S * N * (p + 1) / P);
        OF_BLOCK(column, width) {
            for (int q = 0; q < Q; q++) own[q * width + column] = 0;
            for (int i = first; i < last; i++) {
                const int there = table[i / N * T + t];
                if (there < 0) continue;
                const int q = (int)codes[(there * N + i % N) * C + c];
                own[q * width + column] += g[i * K + (step ? c * step : 0) + column];
            }
        }
    }
}
