// One kernel per opcode that computes each number of a map, or each pixel, by itself: ops/pointwise.py, channels.py.

// --- one map to another of the same width: x -> y, with weights w that repeat after K channels -----------------------
#define OF_ONE_MAP(name, value)                                                                     \
    KERNEL name(const REAL* x_, REAL* y_, const REAL* w, int n, int K) {                            \
        EACH(i, n) {                                                                                \
            const REAL x = x_[i];                                                                   \
            y_[i] = value;                                                                          \
        }                                                                                           \
    }

KERNEL zero(REAL* y, int n) {
    EACH(i, n) y[i] = 0;
}

KERNEL fill(REAL* y, const REAL* w, int n, int K) {
    EACH(i, n) y[i] = w[i % K];
}

OF_ONE_MAP(add_bias, x + w[i % K])
OF_ONE_MAP(bias_relu, x + w[i % K] > 0 ? x + w[i % K] : (REAL)0)
OF_ONE_MAP(add_row, y_[i] + x)
OF_ONE_MAP(relu, x > 0 ? x : (REAL)0)
OF_ONE_MAP(elu, x > 0 ? x : expm1(x))
OF_ONE_MAP(tanh_, tanh(x))
OF_ONE_MAP(sigmoid_, sigmoid(x))
OF_ONE_MAP(exp_, exp(x))
OF_ONE_MAP(log_, log(x))
OF_ONE_MAP(power, pow(x, w[0]))
OF_ONE_MAP(prelu, x > 0 ? x : w[i % K] * x)
OF_ONE_MAP(scale, x * w[i % K])

OF_ONE_MAP(gelu, x * gelu_gate(x))

KERNEL multiply(const REAL* a, const REAL* b, REAL* y, int n) {
    EACH(i, n) y[i] = a[i] * b[i];
}

// --- their adjoints, in place: the gradient g times a slope, which x (or, of some, the result) tells ------------------
#define ADJOINT(name, slope)                                                                        \
    KERNEL name(REAL* g, const REAL* x_, const REAL* w, int n, int K) {                             \
        EACH(i, n) {                                                                                \
            const REAL x = x_[i];                                                                   \
            g[i] *= slope;                                                                          \
        }                                                                                           \
    }

ADJOINT(relu_x, x > 0 ? (REAL)1 : (REAL)0)
ADJOINT(elu_x, x > 0 ? (REAL)1 : exp(x))
ADJOINT(tanh_x, 1 - x * x)
ADJOINT(sigmoid_x, x * (1 - x))
ADJOINT(exp_x, x)
ADJOINT(log_x, 1 / x)
ADJOINT(power_x, w[0] * pow(x, w[0] - 1))
ADJOINT(prelu_x, x > 0 ? (REAL)1 : w[i % K])
KERNEL scale_x(REAL* g, const REAL* x, const REAL* w, int n, int K) {
    EACH(i, n) g[i] *= w[i % K];
}

KERNEL gelu_x(REAL* g, const REAL* x_, const REAL* w, int n, int K) {
    EACH(i, n) {
        const REAL near = near_zero(x_[i]), s = gelu_gate(x_[i]);
        g[i] *= s + near * s * (1 - s) * (GELU_LINEAR + 3 * GELU_CUBIC * near * near);
    }
}

// --- between widths K and 2K ------------------------------------------------------------------------------------------
#define OF_ROWS(name, body)                                                                         \
    KERNEL name(REAL* x_, REAL* y_, int rows, int K) {                                              \
        EACH(i, rows * K) {                                                                         \
            const int row = i / K, k = i % K;                                                       \
            body                                                                                    \
        }                                                                                           \
    }

OF_ROWS(concat_elu, {
    const REAL x = x_[i];
    y_[2 * row * K + k] = x > 0 ? x : expm1(x);
    y_[(2 * row + 1) * K + k] = x < 0 ? -x : expm1(-x);
})
OF_ROWS(gate, {  // it leaves its factors where their inputs stood
    REAL* a = x_ + 2 * row * K + k;
    a[0] = tanh(a[0]);
    a[K] = sigmoid(a[K]);
    y_[i] = a[0] * a[K];
})
OF_ROWS(factors, { y_[i] = x_[2 * row * K + k] * x_[(2 * row + 1) * K + k]; })
OF_ROWS(linear_gate, { y_[i] = x_[2 * row * K + k] * sigmoid(x_[(2 * row + 1) * K + k]); })

#define ADJOINT_OF_ROWS(name, body)                                                                 \
    KERNEL name(const REAL* g_, const REAL* x_, REAL* t_, int rows, int K) {                        \
        EACH(i, rows * K) {                                                                         \
            const int row = i / K, k = i % K;                                                       \
            const int first = 2 * row * K + k, second = first + K;                                  \
            body                                                                                    \
        }                                                                                           \
    }

ADJOINT_OF_ROWS(concat_elu_x, {
    const REAL x = x_[i];
    t_[i] = g_[first] * (x > 0 ? (REAL)1 : exp(x)) - g_[second] * (x < 0 ? (REAL)1 : exp(-x));
})
ADJOINT_OF_ROWS(gate_x, {  // x has the factors
    const REAL t = x_[first]; const REAL s = x_[second]; const REAL g = g_[i];
    t_[first] = g * s * (1 - t * t);
    t_[second] = g * t * s * (1 - s);
})
ADJOINT_OF_ROWS(linear_gate_x, {
    const REAL a = x_[first]; const REAL s = sigmoid(x_[second]); const REAL g = g_[i];
    t_[first] = g * s;
    t_[second] = g * a * s * (1 - s);
})

// --- some channels of a map -------------------------------------------------------------------------------------------
KERNEL part(const REAL* x, REAL* y, int rows, int K, int width, int at) {  // y[..., at : at + K] = x, of `width` each
    EACH(i, rows * K) y[i / K * width + at + i % K] = x[i];
}

KERNEL part_x(const REAL* x, REAL* y, int rows, int K, int width, int at, int adds) {
    EACH(i, rows * K) {
        const REAL there = x[i / K * width + at + i % K];
        y[i] = adds ? y[i] + there : there;
    }
}

// --- over the channels of a pixel, or of a colour: k, k + colours, k + 2 colours ... ----------------------------------
KERNEL softmax(const REAL* x_, REAL* y_, const REAL* w, int rows, int K, int colours) {
    EACH(i, rows * colours) {
        const REAL* x = x_ + i / colours * K + i % colours;
        REAL* y = y_ + i / colours * K + i % colours;
        REAL most = x[0], sum = 0;
        for (int k = colours; k < K; k += colours) most = x[k] > most ? x[k] : most;
        for (int k = 0; k < K; k += colours) sum += y[k] = exp(x[k] - most);
        for (int k = 0; k < K; k += colours) y[k] /= sum;
    }
}

KERNEL softmax_x(REAL* g_, const REAL* y_, const REAL* w, int rows, int K, int colours) {
    EACH(i, rows * colours) {
        const REAL* y = y_ + i / colours * K + i % colours;
        REAL* g = g_ + i / colours * K + i % colours;
        REAL sum = 0;
        for (int k = 0; k < K; k += colours) sum += g[k] * y[k];
        for (int k = 0; k < K; k += colours) g[k] = y[k] * (g[k] - sum);
    }
}

__device__ inline void moments(const REAL* x, REAL epsilon, int K, int colours, REAL* mean, REAL* scale) {
    REAL sum = 0, squares = 0;
    for (int k = 0; k < K; k += colours) sum += x[k];
    *mean = sum / (K / colours);
    for (int k = 0; k < K; k += colours) squares += (x[k] - *mean) * (x[k] - *mean);
    *scale = 1 / sqrt(squares / (K / colours) + epsilon);
}

KERNEL layer_norm(const REAL* x_, REAL* y_, const REAL* w, int rows, int K, int colours) {  // w is its epsilon
    EACH(i, rows * colours) {
        const REAL* x = x_ + i / colours * K + i % colours;
        REAL* y = y_ + i / colours * K + i % colours;
        REAL mean, scale;
        moments(x, w[0], K, colours, &mean, &scale);
        for (int k = 0; k < K; k += colours) y[k] = (x[k] - mean) * scale;
    }
}

KERNEL layer_norm_x(REAL* g_, const REAL* x_, const REAL* w, int rows, int K, int colours) {
    EACH(i, rows * colours) {
        const REAL* x = x_ + i / colours * K + i % colours;
        REAL* g = g_ + i / colours * K + i % colours;
        REAL mean, scale, sum = 0, along = 0;
        moments(x, w[0], K, colours, &mean, &scale);
        for (int k = 0; k < K; k += colours) {
            sum += g[k];
            along += g[k] * (x[k] - mean) * scale;
        }
        const REAL size = K / colours;
        for (int k = 0; k < K; k += colours)
            g[k] = (g[k] - sum / size - (x[k] - mean) * scale * along / size) * scale;
    }
}
