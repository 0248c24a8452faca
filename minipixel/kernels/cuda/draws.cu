// Dropout by counter, the numbers of draws.py: Philox4x32-10 of (pixel, channel / 8, layer, image) and a key.

KERNEL set_draw(unsigned* draw, unsigned first_of_key, unsigned second_of_key, unsigned first_image) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        draw[0] = first_of_key;
        draw[1] = second_of_key;
        draw[2] = first_image;
    }
}

__device__ inline unsigned upper(unsigned a, unsigned b) {
    return (unsigned)(((unsigned long long)a * b) >> 32);
}

// x and y are (pixels, N, K), and may be one map; w is what the numbers that are kept are multiplied by.
KERNEL dropout(const REAL* x, REAL* y, const REAL* w, const unsigned* draw, int pixels, int N, int K, unsigned layer,
               int threshold) {
    const int octets = (K + 7) / 8;
    EACH(i, pixels * N * octets) {
        const int octet = i % octets, row = i / octets;
        unsigned a = row / N, b = octet, c = layer, d = draw[2] + row % N, first = draw[0], second = draw[1];
        for (int round = 0; round < 10; round++) {
            const unsigned p = upper(0xD2511F53u, a), q = upper(0xCD9E8D57u, c);
            const unsigned next_b = 0xCD9E8D57u * c, next_d = 0xD2511F53u * a;
            a = q ^ b ^ first;
            c = p ^ d ^ second;
            b = next_b;
            d = next_d;
            first += 0x9E3779B9u;
            second += 0xBB67AE85u;
        }
        const unsigned words[4] = {a, b, c, d};
        for (int j = 0; j < 8 && octet * 8 + j < K; j++) {
            const int bits = words[j / 2] >> (j % 2 ? 16 : 0) & 0xFFFF;
            const int at = row * K + octet * 8 + j;
            y[at] = bits >= threshold ? x[at] * w[0] : (REAL)0;
        }
    }
}
