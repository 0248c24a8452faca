// Drawing images by a schedule, as kernels/machine.py does: one block for each of N images, which goes through all
// moments; the threads of a block share out the numbers of a step. The columns of steps and units stand before this
// text, from kernels/units.py. In `work` slot s of a map that begins at `base`, of K channels, has those of image n at
// (base + s * K) * N + n * K.

struct Tables {
    const int *table, *ints;
    const REAL* weights;
    REAL* work;
    int N, n;
};

__device__ inline REAL* at(const Tables& of, int base, int slot, int K) {
    return of.work + (long long)(base + slot * K) * of.N + of.n * K;
}

// Number i of what unit u reads at pixel p, of its first or its second input.
__device__ inline REAL input(const Tables& of, const int* u, int which, int p, int i) {
    const int K = u[which + READ_K], pick = u[which + READ_PICK], j = pick < 0 ? i : of.ints[pick + i];
    const int slot = of.ints[u[which + READ_INDEX] + p * u[which + READ_T] + j / K];
    return at(of, u[which + READ_BASE], slot, K)[j % K];
}

__device__ inline int column(const Tables& of, const int* u, int j) {
    return u[COLUMNS] < 0 ? j : of.ints[u[COLUMNS] + j];
}

// Where channel j of unit u at pixel p belongs, in its map or among its cell states.
__device__ inline REAL* place(const Tables& of, const int* u, int base, int p, int j) {
    return at(of, u[base], of.ints[u[TO] + p], u[K_NODE]) + column(of, u, j);
}

// All that unit u reads at pixel p, times column j of its weight, of k columns.
__device__ inline REAL product(const Tables& of, const int* u, int p, int j, int k) {
    const REAL* w = of.weights + u[WEIGHT] + j;
    const int K = u[READS_A + READ_K], T = u[READS_A + READ_T], index = u[READS_A + READ_INDEX] + p * T;
    REAL sum = 0;
    if (u[READS_A + READ_PICK] >= 0) {
        for (int i = 0; i < u[READS_A + READ_WIDTH]; i++) sum += input(of, u, READS_A, p, i) * w[i * k];
        return sum;
    }
    for (int t = 0; t < T; t++) {
        const REAL* x = at(of, u[READS_A + READ_BASE], of.ints[index + t], K);
        for (int i = 0; i < K; i++) sum += x[i] * w[(t * K + i) * k];
    }
    return sum;
}

__device__ inline REAL bent(REAL x) {
    return x > 0 ? x : expm1(x);
}

// Number j of k of unit u at pixel p; not of an op that reads all channels of a colour together, nor of a scan.
__device__ inline REAL value(const Tables& of, const int* u, int p, int j, int k) {
    const int op = u[OP], half = k / 2, width = u[READS_A + READ_WIDTH], w = u[WEIGHT], bias = u[BIAS];
    if (op == LINEAR) return (bias < 0 ? (REAL)0 : of.weights[bias + j]) + product(of, u, p, j, k);
    if (op == LOOKUP) {  // of each code, of which 0 stands for none, its row of weights
        REAL sum = bias < 0 ? (REAL)0 : of.weights[bias + j];
        for (int i = 0; i < width; i++) {
            const int code = (int)input(of, u, READS_A, p, i);
            if (code > 0) sum += of.weights[w + (i * u[LEVELS] + code - 1) * k + j];
        }
        return sum;
    }
    if (op == EMBEDDING) return of.weights[w + (int)input(of, u, READS_A, p, j / (k / width)) * k + j];
    if (op == CONCAT) return j < width ? input(of, u, READS_A, p, j) : input(of, u, READS_B, p, j - width);
    if (op == CONCAT_ELU) return j < half ? bent(input(of, u, READS_A, p, j)) : bent(-input(of, u, READS_A, p, j - half));
    if (op == GATE) return tanh(input(of, u, READS_A, p, j)) * sigmoid(input(of, u, READS_A, p, k + j));
    if (op == LINEAR_GATE) return input(of, u, READS_A, p, j) * sigmoid(input(of, u, READS_A, p, k + j));
    const REAL x = input(of, u, READS_A, p, j);
    if (op == ADD) return x + input(of, u, READS_B, p, j);
    if (op == RELU) return x > 0 ? x : (REAL)0;
    if (op == PRELU) return x > 0 ? x : of.weights[w + j] * x;
    if (op == ELU) return bent(x);
    if (op == TANH) return tanh(x);
    if (op == SIGMOID) return sigmoid(x);
    if (op == GELU) return x * gelu_gate(x);
    return x + 1;  // ONE_HOT: the code of a level
}

// Softmax or layer_norm of the channels c, c + colours, c + 2 colours ... of unit u at pixel p.
__device__ inline void of_colour(const Tables& of, const int* u, int p, int c, int k, int colours) {
    REAL most = input(of, u, READS_A, p, c), sum = 0, squares = 0;
    const REAL count = k / colours;
    for (int j = c; j < k; j += colours) {
        const REAL x = input(of, u, READS_A, p, j);
        most = x > most ? x : most;
        sum += x;
    }
    const REAL mean = sum / count;
    sum = 0;
    for (int j = c; j < k; j += colours) {
        const REAL x = input(of, u, READS_A, p, j);
        sum += exp(x - most);
        squares += (x - mean) * (x - mean);
    }
    for (int j = c; j < k; j += colours) {
        const REAL x = input(of, u, READS_A, p, j);
        REAL y = exp(x - most) / sum;
        if (u[OP] == LAYER_NORM) {
            y = (x - mean) / sqrt(squares / count + of.weights[u[EPSILON]]);
            if (u[WEIGHT] >= 0) y *= of.weights[u[WEIGHT] + j];
            if (u[BIAS] >= 0) y += of.weights[u[BIAS] + j];
        }
        *place(of, u, BASE, p, j) = y;
    }
}

// A step of a scan. New states wait in `room` until all threads have read the old ones, whose places they may take.
__device__ inline void scan_step(const Tables& of, const int* u, int first, int last, REAL* room) {
    const int k = u[COUNT], K = u[K_NODE], T = u[OWN_T], count = (last - first) * k;
    OF_BLOCK(i, count) {
        const int p = first + i / k, j = i % k;
        REAL gates[4];
        for (int q = 0; q < 4; q++) {
            REAL sum = input(of, u, READS_A, p, q * k + j);
            for (int t = 0; t < T; t++) {
                const REAL *h = at(of, u[BASE], of.ints[u[OWN] + p * T + t], K), *w = of.weights + u[WEIGHT] + q * k + j;
                for (int m = 0; m < K; m++) sum += h[m] * w[(t * K + m) * 4 * k];
            }
            gates[q] = sum;
        }
        const REAL before = at(of, u[CELLS], of.ints[u[ABOVE] + p], K)[column(of, u, j)];
        const REAL c = sigmoid(gates[1]) * before + sigmoid(gates[2]) * tanh(gates[3]);
        room[2 * i] = c;
        room[2 * i + 1] = sigmoid(gates[0]) * tanh(c);
    }
    __syncthreads();
    OF_BLOCK(i, count) {
        *place(of, u, CELLS, first + i / k, i % k) = room[2 * i];
        *place(of, u, BASE, first + i / k, i % k) = room[2 * i + 1];
    }
}

// `levels` (pixels, N, C) and `failed` (N,) are written; `fixed` (pixels, N) and `uniforms` (pixels, N, C) say which
// pixels stay and what draws the others; `scaled` (Q,) has what the model reads for levels. `room` has `most` numbers
// for each image, and `scores` Q + M for each draw of a moment, of which there are `together` at the most.
extern "C" __global__ void __launch_bounds__(512)
play(const int* step_from, const int* steps, const int* table, const int* ints, const REAL* weights, REAL* work, int N,
     int moments, const int* draw_from, const int* draws, int head, int Q, int M, double temperature, int* levels,
     const unsigned char* fixed, const double* uniforms, const REAL* scaled, int C, int image_base, int output_base,
     int P, REAL* room, int most, double* scores, int together, int* failed) {
    for (int n = blockIdx.x; n < N; n += gridDim.x) {
        const Tables of = {table, ints, weights, work, N, n};
        if (threadIdx.x == 0) failed[n] = 0;
        __syncthreads();
        for (int moment = 0; moment < moments; moment++) {
            for (int s = step_from[moment]; s < step_from[moment + 1]; s++) {
                const int* u = table + steps[s * STEP + UNIT] * ROW;
                const int first = steps[s * STEP + FIRST], last = steps[s * STEP + LAST], k = u[COUNT];
                if (u[OP] == LSTM) {
                    scan_step(of, u, first, last, room + (long long)n * most);
                } else if (u[OP] == SOFTMAX || u[OP] == LAYER_NORM) {
                    const int colours = k / u[OF_COLOUR];
                    OF_BLOCK(i, (last - first) * colours) {
                        of_colour(of, u, first + i / colours, i % colours, k, colours);
                    }
                } else {
                    OF_BLOCK(i, (last - first) * k) {
                        const int p = first + i / k;
                        *place(of, u, BASE, p, i % k) = value(of, u, p, i % k, k);
                    }
                }
                __syncthreads();
            }
            OF_BLOCK(i, draw_from[moment + 1] - draw_from[moment]) {
                const int* d = draws + 4 * (draw_from[moment] + i);
                int* pixel = levels + (d[1] * N + n) * C;
                if (!fixed[d[1] * N + n]) {
                    const REAL* parameters = at(of, output_base, d[3], P);
                    const Head of_head = {head, Q, M, C, temperature, parameters, pixel};
                    double* own = scores + ((long long)n * together + i) * (Q + M);
                    const int level = draw(of_head, d[2], uniforms[(d[1] * N + n) * C + d[2]], own);
                    if (level < 0) failed[n] = 1;
                    pixel[d[2]] = level < 0 ? 0 : level;
                }
                at(of, image_base, d[1] + 2, C)[d[2]] = scaled[pixel[d[2]]];
            }
            __syncthreads();
        }
    }
}
