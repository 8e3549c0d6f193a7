/* Fit one affine map to pairs of keypoints.
 *
 * The numpy twin in `geometry.py` is the specification; its steps and constants have the same names.
 *
 * Shapes: P pairs; a row of keypoints is x, y, sigma and direction in turns. An affine map (2, 3) takes a point of the
 * reference to the photo.
 */

#include "geometry.h"

#include "../_util/loops.h"

enum { MIN_PAIRS = 4, HYPOTHESES = 3, FITS = 3, BANDS = 64 };
static const double RADIANS_PER_TURN = 6.28318530717958648;
static const double COARSE_TOLERANCE = 0.15, TOLERANCES[FITS] = {0.08, 0.04, 0.04};
static const double SCALE_TOLERANCE = 1, TURN_TOLERANCE = 0.15;
static const double MIN_SCALE = 0.05, MAX_SCALE = 20, MAX_STRETCH = 4;
static const float SAME_POSITION = 0.004f, RATIO = (float)(0.85 * 0.85); /* of squared distances */

typedef struct {
    double x, y, from_x, from_y; /* position in the photo; position in the reference */
    double octaves, turns;       /* scale and rotation from the reference to the photo */
    double real, imaginary;      /* the same scale and rotation as a complex factor */
} Pair;

/* Return the size of a rotation, 0 to 0.5 turns. */
static double rotation_size(double turns) { return fabs(turns - rint(turns)); }

/* Return whether the similarity of one pair maps another pair to nearly where it is. */
static int supports(const Pair *one, const Pair *other) {
    const double x = other->from_x - one->from_x, y = other->from_y - one->from_y;
    const double off_x = one->real * x - one->imaginary * y - (other->x - one->x);
    const double off_y = one->real * y + one->imaginary * x - (other->y - one->y);
    const double square = one->real * one->real + one->imaginary * one->imaginary;
    const double limit = COARSE_TOLERANCE * COARSE_TOLERANCE * square;
    return off_x * off_x + off_y * off_y < limit && fabs(one->octaves - other->octaves) < SCALE_TOLERANCE &&
           rotation_size(one->turns - other->turns) < TURN_TOLERANCE;
}

/* Fit a map to the inliers by least squares. Return whether a camera can produce such a map; if not, `affine` is
 * undefined. pairs: (count,), inlier: (count,), affine: (2, 3). */
static int fit_least_squares(const Pair *pairs, int count, const uint8_t *inlier, double affine[6]) {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0, to[2] = {0}, x_to[2] = {0}, y_to[2] = {0};
    for (int i = 0; i < count; i++) {
        if (!inlier[i]) continue;
        const double u = pairs[i].from_x, v = pairs[i].from_y, at[2] = {pairs[i].x, pairs[i].y};
        n++, x += u, y += v, xx += u * u, xy += u * v, yy += v * v;
        for (int k = 0; k < 2; k++) to[k] += at[k], x_to[k] += u * at[k], y_to[k] += v * at[k];
    }
    if (n < MIN_PAIRS) return 0;
    /* invert the symmetric matrix (xx xy x; xy yy y; x y n) by cofactors */
    const double a = yy * n - y * y, b = x * y - xy * n, c = xy * y - x * yy;
    const double d = xx * n - x * x, e = xy * x - xx * y, f = xx * yy - xy * xy;
    const double determinant = xx * a + xy * b + x * c;
    if (determinant < 1e-9) return 0;
    for (int k = 0; k < 2; k++) {
        affine[3 * k] = (a * x_to[k] + b * y_to[k] + c * to[k]) / determinant;
        affine[3 * k + 1] = (b * x_to[k] + d * y_to[k] + e * to[k]) / determinant;
        affine[3 * k + 2] = (c * x_to[k] + e * y_to[k] + f * to[k]) / determinant;
    }
    const double *m = affine, area = m[0] * m[4] - m[1] * m[3]; /* negative if it mirrors */
    const double squares = m[0] * m[0] + m[1] * m[1] + m[3] * m[3] + m[4] * m[4];
    return area > MIN_SCALE * MIN_SCALE && area < MAX_SCALE * MAX_SCALE &&
           squares <= (MAX_STRETCH + 1 / MAX_STRETCH) * area;
}

/* Mark the pairs that a map m explains within a tolerance. pairs: (count,), m: (2, 3), inlier: (count,). */
static void find_inliers(const Pair *pairs, int count, const double *m, double tolerance, uint8_t *inlier) {
    const double area = m[0] * m[4] - m[1] * m[3], octaves = log2(area) / 2;
    const double turns = atan2(m[3] - m[1], m[0] + m[4]) / RADIANS_PER_TURN;
    for (int i = 0; i < count; i++) {
        const Pair *p = &pairs[i];
        const double x = m[0] * p->from_x + m[1] * p->from_y + m[2] - p->x;
        const double y = m[3] * p->from_x + m[4] * p->from_y + m[5] - p->y;
        inlier[i] = x * x + y * y < tolerance * tolerance * area && fabs(p->octaves - octaves) < SCALE_TOLERANCE &&
                    rotation_size(p->turns - turns) < TURN_TOLERANCE;
    }
}

/* Count the inliers at different positions of the reference: skip those close to an earlier one.
 * reference: (count, 4), inlier: (count,). */
static int count_distinct(const float *reference, int count, const uint8_t *inlier) {
    int found = 0;
    for (int i = 0; i < count; i++) {
        int skipped = !inlier[i];
        for (int j = 0; j < i && !skipped; j++)
            skipped = inlier[j] && fabsf(reference[4 * i] - reference[4 * j]) < SAME_POSITION &&
                   fabsf(reference[4 * i + 1] - reference[4 * j + 1]) < SAME_POSITION;
        found += !skipped;
    }
    return found;
}

/* Do what `fit_affine` does. pairs: scratch (count,). */
static int fit_pairs(const float *photo, const float *reference, int count, Pair *pairs, double best_affine[6]) {
    uint8_t inlier[MAX_PAIRS];
    int support[MAX_PAIRS], best = 0;
    for (int i = 0; i < count; i++) {
        const float *p = photo + 4 * i, *r = reference + 4 * i;
        Pair *pair = &pairs[i];
        *pair = (Pair){.x = p[0], .y = p[1], .from_x = r[0], .from_y = r[1]};
        pair->octaves = log2((double)(p[2] / r[2])), pair->turns = (double)p[3] - (double)r[3];
        pair->real = exp2(pair->octaves) * cos(RADIANS_PER_TURN * pair->turns);
        pair->imaginary = exp2(pair->octaves) * sin(RADIANS_PER_TURN * pair->turns);
    }
    for (int i = 0; i < count; i++) {
        support[i] = 0;
        for (int j = 0; j < count; j++) support[i] += supports(&pairs[i], &pairs[j]);
    }
    for (int attempt = 0; attempt < HYPOTHESES && count >= MIN_PAIRS; attempt++) {
        int first = 0, fits = 0;
        double affine[6];
        for (int i = 1; i < count; i++)
            if (support[i] > support[first]) first = i;
        support[first] = -1;
        for (int j = 0; j < count; j++) inlier[j] = (uint8_t)supports(&pairs[first], &pairs[j]);
        while (fits < FITS && fit_least_squares(pairs, count, inlier, affine))
            find_inliers(pairs, count, affine, TOLERANCES[fits++], inlier);
        if (fits < FITS) continue;
        const int found = count_distinct(reference, count, inlier);
        if (found >= MIN_PAIRS && found > best) {
            best = found;
            memcpy(best_affine, affine, sizeof affine);
        }
    }
    return best;
}

/* The keypoints of a photo in horizontal bands, so that a search need not read them all. */
typedef struct {
    double top, height;   /* of the first band; of each */
    int64_t first[BANDS + 1];
    int64_t *order;       /* (count,): keypoints order[first[b]], ..., order[first[b + 1] - 1] are in band b */
} Bands;

static int band_of(const Bands *bands, double y) {
    const double band = (y - bands->top) / bands->height;
    return band > 0 ? (band < BANDS - 1 ? (int)band : BANDS - 1) : 0;
}

/* Sort keypoints into bands that are at least `least` high. photo: (count, 4). */
static void fill_bands(const float *photo, int64_t count, double least, Bands *bands) {
    double top = INFINITY, bottom = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        const double y = photo[4 * i + 1];
        top = y < top ? y : top, bottom = y > bottom ? y : bottom;
    }
    bands->top = top, bands->height = fmax(least, (bottom - top) / BANDS);
    int64_t ends[BANDS] = {0}, sum = 0;
    for (int64_t i = 0; i < count; i++) ends[band_of(bands, photo[4 * i + 1])]++;
    for (int b = 0; b < BANDS; b++) bands->first[b] = sum, sum += ends[b], ends[b] = bands->first[b];
    bands->first[BANDS] = sum;
    for (int64_t i = 0; i < count; i++) bands->order[ends[band_of(bands, photo[4 * i + 1])]++] = i;
}

/* Do what `find_consistent_pairs` does. order: scratch (count,). */
static void find_pairs(const float *photo, int64_t count, const float *reference, int64_t size, const double *m,
                       double tolerance, int64_t *order, uint32_t *bits, int64_t words) {
    const double area = m[0] * m[4] - m[1] * m[3], octaves = log2(area) / 2, scale = exp2(octaves);
    const double turns = atan2(m[3] - m[1], m[0] + m[4]) / RADIANS_PER_TURN;
    const double least = exp2(-SCALE_TOLERANCE), most = 1 / least;
    Bands bands = {.order = order};
    fill_bands(photo, count, 1.001 * tolerance * sqrt(area), &bands); /* a pair lies in two neighbouring bands at most */
    memset(bits, 0, (size_t)(count * words) * sizeof *bits);
    for (int64_t j = 0; j < size; j++) {
        const float *r = reference + 4 * j;
        const double x = m[0] * r[0] + m[1] * r[1] + m[2], y = m[3] * r[0] + m[4] * r[1] + m[5];
        const int band = band_of(&bands, y);
        const int64_t end = bands.first[band + 2 < BANDS ? band + 2 : BANDS];
        for (int64_t n = bands.first[band > 0 ? band - 1 : 0]; n < end; n++) {
            const int64_t i = order[n];
            const float *p = photo + 4 * i;
            const double off_x = x - p[0], off_y = y - p[1], scaled = p[2] / (r[2] * scale);
            if (off_x * off_x + off_y * off_y < tolerance * tolerance * area && scaled > least && scaled < most &&
                rotation_size((double)p[3] - (double)r[3] - turns) < TURN_TOLERANCE)
                bits[i * words + j / 32] |= (uint32_t)1 << j % 32;
        }
    }
}

int fit_affine(const float *photo, const float *reference, int count, double affine[6]) {
    Pair *pairs = malloc(MAX_PAIRS * sizeof *pairs);
    const int found = pairs ? fit_pairs(photo, reference, count, pairs, affine) : -1;
    free(pairs);
    return found;
}

typedef struct {
    float distance;
    int32_t keypoint; /* of the photo */
} Match;

/* Order matches by distance, then by keypoint. */
static int by_distance(const void *a, const void *b) {
    const Match *p = a, *q = b;
    return p->distance != q->distance ? (p->distance > q->distance) - (p->distance < q->distance)
                                      : (p->keypoint > q->keypoint) - (p->keypoint < q->keypoint);
}

/* Memory for `fit_matches`. */
typedef struct {
    float photo[MAX_PAIRS][4], reference[MAX_PAIRS][4]; /* pair by pair, the nearest first */
    Match matches[];                                    /* (count,), then a flag for each reference keypoint */
} Matches;

int fit_matches(const float *photo, int64_t count, const int32_t *nearest, const float *distances,
                const uint8_t *reference, int64_t size, const float *levels, double affine[6]) {
    Matches *m = malloc(sizeof *m + (size_t)count * sizeof *m->matches + (size_t)size);
    if (!m) return -1;
    uint8_t *used = memset(m->matches + count, 0, (size_t)size);
    int64_t passed = 0;
    int pairs = 0;
    for (int64_t i = 0; i < count; i++)
        if (distances[2 * i] < RATIO * distances[2 * i + 1])
            m->matches[passed++] = (Match){distances[2 * i], (int32_t)i};
    qsort(m->matches, (size_t)passed, sizeof *m->matches, by_distance);
    for (int64_t i = 0; i < passed && pairs < MAX_PAIRS; i++) {
        const int32_t keypoint = m->matches[i].keypoint, row = nearest[keypoint];
        if (used[row]) continue;
        used[row] = 1;
        memcpy(m->photo[pairs], photo + 4 * keypoint, sizeof m->photo[0]);
        for (int k = 0; k < 4; k++) m->reference[pairs][k] = levels[4 * reference[4 * row + k] + k];
        pairs++;
    }
    const int found = fit_affine(m->photo[0], m->reference[0], pairs, affine);
    free(m);
    return found;
}

int find_consistent_pairs(const float *photo, int64_t count, const float *reference, int64_t size, const double *m,
                          double tolerance, uint32_t *bits, int64_t words) {
    int64_t *order = malloc((size_t)(count + 1) * sizeof *order);
    if (order) find_pairs(photo, count, reference, size, m, tolerance, order, bits, words);
    free(order);
    return order != NULL;
}
