// Reading data sets and computing exact answers; see data.hpp.
#include "data.hpp"

#include <glob.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace
{

std::string quoted(const std::string &s)
{
    return "'" + s + "'";
}

// A shell command that writes the file's bytes: plain, compressed or in parts. gzip -dcf hands on what is not
// compressed.
std::string command_for(const std::string &path)
{
    for (const char *pattern : {"", ".gz", ".gz.*", ".*[0-9a-z]"}) {
        glob_t g;
        std::string files;
        if (glob((path + pattern).c_str(), 0, nullptr, &g) == 0)
            for (size_t i = 0; i < g.gl_pathc; i++)
                files += " " + quoted(g.gl_pathv[i]);
        globfree(&g);
        if (!files.empty())
            return "cat" + files + " | gzip -dcf";
    }
    fprintf(stderr, "bench-vectors: %s is missing (looked for it plain, as .gz and in parts)\n", path.c_str());
    exit(3);
}

float *shared_floats(size_t count)
{
    void *p = mmap(nullptr, count * sizeof(float), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return static_cast<float *>(p);
}

// Vectors of `item` bytes a component, each after its int32 length; at most `limit` of them (0: all).
std::vector<uint8_t> read_vecs(const std::string &path, size_t item, size_t limit, int *dim)
{
    FILE *f = popen(command_for(path).c_str(), "r");
    std::vector<uint8_t> all;
    int32_t d;
    for (size_t i = 0; (!limit || i < limit) && fread(&d, sizeof d, 1, f) == 1; i++) {
        if (d < 1 || d > 65536 || (i > 0 && d != *dim)) {
            fprintf(stderr, "bench-vectors: %s: vector %zu has %d components\n", path.c_str(), i, d);
            exit(1);
        }
        *dim = d;
        all.resize(all.size() + d * item);
        if (fread(&all[all.size() - d * item], item, d, f) != size_t(d)) {
            fprintf(stderr, "bench-vectors: %s ends inside a vector\n", path.c_str());
            exit(1);
        }
    }
    pclose(f);
    return all;
}

const float *floats_of(const std::vector<uint8_t> &bytes)
{
    float *to = shared_floats(bytes.size());
    std::copy(bytes.begin(), bytes.end(), to);
    return to;
}

const float *unit_of(const float *from, size_t n, int dim)
{
    float *to = shared_floats(n * dim);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < dim; j++)
            sum += double(from[i * dim + j]) * from[i * dim + j];
        double by = sum > 0 ? 1 / std::sqrt(sum) : 0;
        for (int j = 0; j < dim; j++)
            to[i * dim + j] = float(from[i * dim + j] * by);
    }
    return to;
}

// x *= H / sqrt(n), H the Hadamard matrix of n rows, n a power of two.
void hadamard(float *x, int n)
{
    for (int half = 1; half < n; half *= 2)
        for (int i = 0; i < n; i++)
            if (!(i & half)) {
                float a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
    for (int i = 0; i < n; i++)
        x[i] /= std::sqrt(float(n));
}

// Fixed random signs, then Hadamard matrices over blocks of 512, 256, 16 ... components: orthogonal.
const float *turned(const float *from, size_t n, int dim)
{
    float *to = shared_floats(n * size_t(dim));
    for (size_t i = 0; i < n; i++) {
        float *x = to + i * size_t(dim);
        for (int j = 0; j < dim; j++)
            x[j] = (uint32_t(j + 1) * 2654435761u >> 16 & 1) ? from[i * size_t(dim) + j] : -from[i * size_t(dim) + j];
        for (int at = 0, size = 1 << 30; at < dim; at += size) {
            while (size > dim - at)
                size /= 2;
            hadamard(x + at, size);
        }
    }
    return to;
}

// Sixteen sums side by side, which the compiler makes one register of. On whole numbers the L2 sum is exact.
template <class Term> double sum16(const float *a, const float *b, int dim, Term term)
{
    float lane[16] = {0};
    int i = 0;
    for (; i + 16 <= dim; i += 16)
        for (int j = 0; j < 16; j++)
            lane[j] += term(a[i + j], b[i + j]);
    double sum = 0;
    for (float v : lane)
        sum += v;
    for (; i < dim; i++)
        sum += term(a[i], b[i]);
    return sum;
}

float nearest(const dataset &d, size_t q, const std::vector<bool> &allowed)
{
    std::vector<float> best; // a heap, the farthest of the K nearest on top
    for (size_t i = 0; i < d.n; i++) {
        if (!allowed.empty() && !allowed[i])
            continue;
        float far = distance(d, q, i);
        if (best.size() == K) {
            if (far >= best.front())
                continue;
            std::pop_heap(best.begin(), best.end());
            best.pop_back();
        }
        best.push_back(far);
        std::push_heap(best.begin(), best.end());
    }
    return best.empty() ? 0 : best.front();
}

std::vector<float> worst_on_file(const dataset &d, const std::string &path)
{
    int per = 0;
    std::vector<uint8_t> bytes = read_vecs(path, sizeof(int32_t), 0, &per);
    std::vector<float> worst(d.nq);
    if (per < K || bytes.size() < d.nq * per * sizeof(int32_t)) {
        fprintf(stderr, "bench-vectors: %s has fewer answers than there are queries\n", path.c_str());
        exit(1);
    }
    for (size_t q = 0; q < d.nq; q++) {
        int32_t id;
        memcpy(&id, &bytes[(q * per + K - 1) * sizeof id], sizeof id);
        worst[q] = distance(d, q, size_t(id));
    }
    return worst;
}

} // namespace

float distance(const dataset &d, size_t q, size_t id)
{
    const float *a = d.true_query + q * d.dim, *b = d.true_base + id * d.dim;
    if (d.by == metric::l2)
        return float(sum16(a, b, d.dim, [](float x, float y) { return (x - y) * (x - y); }));
    return float(1 - sum16(a, b, d.dim, [](float x, float y) { return x * y; }));
}

int count_good(const dataset &d, const std::vector<float> &worst, size_t q, const int32_t *ids, int count)
{
    float slack = d.by == metric::l2 ? 0.f : 2e-6f; // what rounding may make of two equal angles
    int good = 0;
    for (int i = 0; i < count && i < K; i++)
        if (ids[i] >= 0 && size_t(ids[i]) < d.n && std::find(ids, ids + i, ids[i]) == ids + i)
            good += distance(d, q, size_t(ids[i])) <= worst[q] + slack;
    return good;
}

std::vector<float> exact_worst(const dataset &d, size_t nq, const std::vector<bool> &allowed)
{
    std::vector<float> worst(nq);
    auto half = [&](size_t from) {
        for (size_t q = from; q < nq; q += 2)
            worst[q] = nearest(d, q, allowed);
    };
    std::thread other(half, 1);
    half(0);
    other.join();
    return worst;
}

dataset read_dataset(const std::string &dir, const std::string &name, metric by, size_t limit, bool turn)
{
    dataset d;
    const std::string path = dir + "/" + name;
    d.name = name;
    d.by = by;
    std::vector<uint8_t> base = read_vecs(path + "_base.bvecs", 1, limit ? limit + 1 : 0, &d.dim);
    bool cut = limit && base.size() > limit * d.dim;
    if (cut)
        base.resize(limit * d.dim);
    std::vector<uint8_t> query = read_vecs(path + "_query.bvecs", 1, 0, &d.dim);
    d.n = base.size() / d.dim;
    d.nq = query.size() / d.dim;
    d.base = floats_of(base);
    d.query = floats_of(query);
    d.true_base = d.unit_base = by == metric::l2 ? d.base : unit_of(d.base, d.n, d.dim);
    d.true_query = d.unit_query = by == metric::l2 ? d.query : unit_of(d.query, d.nq, d.dim);
    if (turn) {
        d.base = turned(d.base, d.n, d.dim);
        d.query = turned(d.query, d.nq, d.dim);
        d.unit_base = by == metric::l2 ? d.base : turned(d.true_base, d.n, d.dim);
        d.unit_query = by == metric::l2 ? d.query : turned(d.true_query, d.nq, d.dim);
    }
    if (cut)
        d.worst = exact_worst(d, d.nq, {});
    else
        d.worst = worst_on_file(d, path + (by == metric::l2 ? "_gt_l2.ivecs" : "_gt_cos.ivecs"));
    return d;
}

double now_s()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double quantile(std::vector<double> &values, double q)
{
    if (values.empty())
        return 0;
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, size_t(q * double(values.size())))];
}
