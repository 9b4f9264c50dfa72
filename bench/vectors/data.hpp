// The data sets, exact answers to their queries, and what both programs measure with. Base vectors and queries lie in
// shared memory, so that a forked child's anonymous memory (RssAnon) is its engine's alone.
#ifndef BENCH_VECTORS_DATA_HPP
#define BENCH_VECTORS_DATA_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

constexpr int K = 10; // neighbours asked for everywhere

enum class metric { l2, cosine };

struct dataset {
    std::string name;
    metric by = metric::l2;
    int dim = 0;
    size_t n = 0, nq = 0;
    const float *base = nullptr, *query = nullptr; // what engines are given: as on file, or turned
    // Cosine: the same divided by their length; L2: the same pointers.
    const float *unit_base = nullptr, *unit_query = nullptr;
    const float *true_base = nullptr, *true_query = nullptr; // never turned: what distances are computed from
    std::vector<float> worst;                                // per query: the distance of its K-th nearest neighbour
};

// Reads NAME_base, NAME_query and the ground truth from `dir`: plain, .gz, or cut into parts (NAME_base.bvecs.gz.*).
// With limit > 0 only the first `limit` base vectors; the exact answers are then computed here. Ends the process with
// the missing file's name and status 3.
//
// Pixels and SIFT are whole numbers of 0..255, which flatters one-byte codes. With `turn` engines are given the vectors
// turned by a fixed orthogonal matrix: all distances and so the answers stay, components become real numbers.
dataset read_dataset(const std::string &dir, const std::string &name, metric by, size_t limit, bool turn);

// Squared Euclidean distance, or 1 - cosine, of query q and base vector id.
float distance(const dataset &d, size_t q, size_t id);

// How many of `ids` are at most as far as the K-th nearest: ties count, whichever of them was returned.
int count_good(const dataset &d, const std::vector<float> &worst, size_t q, const int32_t *ids, int count);

// The distance of the K-th nearest base vector that `allowed` admits (all when empty), for the first nq queries; two
// threads.
std::vector<float> exact_worst(const dataset &d, size_t nq, const std::vector<bool> &allowed);

double now_s();
// q in 0..1 of values that are sorted here.
double quantile(std::vector<double> &values, double q);

#endif
