// Drawing a level from the parameters of a head, given a uniform number: what kernels/draw.py does, in float64.

#define TIE 1e-12
#define FLOOR -7.0
#define LEAST_WIDTH (8 * 2.2250738585072014e-308)

struct Head {
    int code, Q, M, C;
    double temperature;
    const REAL* parameters;
    const int* pixel;  // its earlier channels
};

__device__ inline bool is_finite(double x) {
    return x - x == 0;
}

__device__ inline double expit(double z) {
    return z > 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
}

__device__ inline double log_expit(double z) {
    return (z < 0 ? z : 0.0) - log1p(exp(-fabs(z)));
}

// The mean of component m, moved by the earlier channels of the pixel, and 1 / scale: see ops/mixture.py.
__device__ inline void component(const Head& h, int channel, int m, double* mean, double* precision) {
    const double unit = 2.0 / (h.Q - 1), floor = h.Q <= 256 ? FLOOR : FLOOR - log((h.Q - 1) / 255.0);
    const int first = 1 + 2 * h.C + channel * (channel - 1) / 2;  // of the rows by which it follows those before it
    *mean = h.parameters[(1 + channel) * h.M + m];
    for (int c = 0; c < channel; c++)
        *mean += tanh((double)h.parameters[(first + c) * h.M + m]) * (h.pixel[c] * unit - 1);
    const double log_scale = h.parameters[(1 + h.C + channel) * h.M + m];
    *precision = exp(-(log_scale > floor ? log_scale : floor)) / h.temperature;
}

// The log of the mass of a bin d wide around m, or of a tail.
__device__ inline double log_mass(double m, double d, bool lowest, bool highest) {
    d = d > LEAST_WIDTH ? d : LEAST_WIDTH;
    const double inside = lowest || highest ? 0.0 : log(-expm1(-d));
    return inside + (highest ? 0.0 : log_expit(m + d / 2)) + (lowest ? 0.0 : log_expit(d / 2 - m));
}

// How much each component counts, given the earlier channels, to `weights`; and the sum, NaN if there is none.
__device__ inline double weigh(const Head& h, int channel, double* weights) {
    const double unit = 2.0 / (h.Q - 1);
    double largest = h.parameters[0], highest = 0, total = 0, mean, precision;
    for (int m = 1; m < h.M; m++) largest = h.parameters[m] > largest ? (double)h.parameters[m] : largest;
    for (int m = 0; m < h.M; m++) {
        component(h, channel, m, &mean, &precision);
        if (!is_finite(mean * precision)) return mean * precision - mean * precision;
        weights[m] = (h.parameters[m] - largest) / h.temperature;
        for (int c = 0; c < channel; c++) {
            component(h, c, m, &mean, &precision);
            const int x = h.pixel[c];
            weights[m] += log_mass((x * unit - 1 - mean) * precision, unit * precision, x == 0, x == h.Q - 1);
        }
        highest = m == 0 || weights[m] > highest ? weights[m] : highest;
    }
    for (int m = 0; m < h.M; m++) total += weights[m] = exp(weights[m] - highest);
    return total;
}

// The mass below the lower edge of a level's bin, times a common factor.
__device__ inline double below(const Head& h, int channel, int level, const double* weights) {
    const double edge = (2.0 * level - 1) / (h.Q - 1) - 1;
    double sum = 0, mean, precision;
    for (int m = 0; m < h.M; m++) {
        component(h, channel, m, &mean, &precision);
        const double z = (edge - mean) * precision;
        sum += weights[m] * (h.code == LOGISTIC ? expit(z) : 0.5 * erfc(-z * sqrt(0.5)));
    }
    return sum;
}

__device__ inline int of_mixture(const Head& h, int channel, double u, double* weights) {
    const double total = weigh(h, channel, weights);
    if (!is_finite(total)) return -1;
    int level = 0, step = 1;
    while (2 * step < h.Q) step *= 2;
    for (; step > 0; step /= 2)  // the bits of the level, from the highest down
        if (level + step < h.Q && below(h, channel, level + step, weights) <= u * total) level += step;
    return level;
}

__device__ inline int likeliest_of_mixture(Head h, int channel, double* scores) {
    double *weights = scores, *mass = scores + h.M, so_far = 0, most = 0;
    h.temperature = 1;
    const double total = weigh(h, channel, weights);
    if (!is_finite(total)) return -1;
    for (int q = 0; q < h.Q; q++) {
        const double up_to = q + 1 < h.Q ? below(h, channel, q + 1, weights) : total;
        mass[q] = up_to - so_far;
        so_far = up_to;
        most = q == 0 || mass[q] > most ? mass[q] : most;
    }
    const double least = most * (1 - TIE * (h.Q > 256 ? h.Q / 256.0 : 1.0));
    for (int q = 0; q < h.Q; q++)
        if (mass[q] >= least) return q;
    return 0;
}

__device__ inline int of_logits(const Head& h, int channel, double u, double* weights) {
    const REAL* logits = h.parameters + channel * h.Q;
    double highest = logits[0], total = 0;
    for (int q = 1; q < h.Q; q++) highest = logits[q] > highest || logits[q] != logits[q] ? (double)logits[q] : highest;
    if (!is_finite(highest)) return -1;
    if (h.temperature == 0) {
        for (int q = 0; q < h.Q; q++)
            if (logits[q] >= highest - TIE) return q;
    }
    for (int q = 0; q < h.Q; q++) total += weights[q] = exp((logits[q] - highest) / h.temperature);
    if (!is_finite(total)) return -1;
    int level = 0;
    double edge = weights[0];
    while (level < h.Q - 1 && edge <= u * total) edge += weights[++level];
    return level;
}

// The level whose slice of the CDF holds u; at temperature 0 the likeliest one, the lowest on ties. -1 where NaN or
// infinite numbers make no distribution.
__device__ inline int draw(const Head& h, int channel, double u, double* scores) {
    if (h.code == CATEGORICAL) return of_logits(h, channel, u, scores);
    if (h.code != BERNOULLI) return h.temperature == 0 ? likeliest_of_mixture(h, channel, scores)
                                                       : of_mixture(h, channel, u, scores);
    const double logit = h.temperature == 0 ? h.parameters[channel] : h.parameters[channel] / h.temperature;
    if (!is_finite(logit)) return -1;
    if (h.temperature == 0) return logit > TIE;
    return u >= exp(-(logit > 0 ? logit : 0.0) - log1p(exp(-fabs(logit))));
}
