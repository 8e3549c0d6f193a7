/* Detect scale-invariant features in a grey picture: Lowe, Distinctive Image Features from Scale-Invariant Keypoints,
 * IJCV 2004; descriptors as in Arandjelovic, Zisserman, Three Things Everyone Should Know to Improve Object Retrieval,
 * CVPR 2012.
 *
 * The numpy twin in `sift.py` is the specification; its steps and constants have the same names. Unlike Lowe, this
 * reads gradients on a fixed grid that is scaled and rotated with the keypoint. So all keypoints cost the same, and the
 * weights of the grid are computed once.
 *
 * Shapes: H, W px of a picture; the next octave has half of both. An octave has six blurred pictures, 0 to 255.
 */

#include "sift.h"

#include "../_util/loops.h"

#define PI 3.14159265358979f

enum {
    LAYERS = 3,            /* scales of an octave in which keypoints lie */
    BLURS = LAYERS + 3,
    BORDER = 5,            /* px at the edge without keypoints */
    MIN_SIDE = 16,         /* px of the smallest octave */
    MAX_OCTAVES = 8,
    MAX_RADIUS = MIN_SIDE - 1, /* px of a blur: it is reflected once */
    LANES = 8,             /* floats in a vector; fewer than MIN_SIDE, so that every row has a whole one */
    SUMS = 6,              /* vectors that are summed at a time */
    FLAGS = 32,            /* bytes that are tested at a time */
    REFINEMENTS = 5,
    TURNS = 36,            /* bins of the histogram of gradients that gives a keypoint its direction */
    TURN_SIDE = 13,        /* samples per side of that histogram's grid */
    CELLS = 4,             /* cells per side of a descriptor */
    DIRECTIONS = 8,        /* bins of a cell */
    GRID = 20,             /* samples per side of a descriptor's grid */
    SAMPLES = GRID * GRID  /* samples of the larger grid */
};
static const float SIGMA = 1.6f;        /* px, blur of an octave's first picture */
static const float CAMERA_SIGMA = 0.5f; /* px, blur that every photo is assumed to have */
static const float CONTRAST = 255 * 0.04f / LAYERS;
static const float EDGE = 10;           /* largest ratio of the two curvatures */
static const float SPACING = 0.75f;     /* of both grids, in sigmas of the keypoint */
static const float TURN_SIGMA = 1.5f;   /* of the weights of the direction's grid, in sigmas of the keypoint */
static const float PEAK = 0.8f;         /* share of the highest peak that makes another peak a direction too */
static const float CLIP = 0.2f;         /* largest share of one value in the length of a descriptor */
static const float DESCRIPTOR_SCALE = 512; /* of the unit vector that a descriptor stores */

/* The compiler splits vectors where registers are narrower. Rows of a picture begin anywhere. */
typedef float Floats __attribute__((vector_size(LANES * sizeof(float))));
typedef float RowFloats __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef float Bins __attribute__((vector_size(DIRECTIONS * sizeof(float))));
typedef int32_t BinFlags __attribute__((vector_size(DIRECTIONS * sizeof(int32_t))));

typedef struct {
    int width, height;
    float *blurred[BLURS];
} Octave;

typedef struct {
    float x, y, sigma, strength; /* px of the octave */
    int octave, layer;
} Point;

typedef struct {
    Point *points;
    int64_t count, room;
} Points;

/* ---- Scale space ---- */

/* The right half of a Gaussian, its middle first. */
typedef struct {
    int radius;
    float half[MAX_RADIUS + 1];
} Gaussian;

static Gaussian gaussian(float sigma) {
    const float reach = ceilf(3 * sigma);
    Gaussian g = {.radius = reach < MAX_RADIUS ? (int)reach : MAX_RADIUS};
    float sum = 0;
    for (int i = 0; i <= g.radius; i++) {
        g.half[i] = expf(-0.5f * (float)(i * i) / (sigma * sigma));
        sum += i ? 2 * g.half[i] : g.half[i];
    }
    for (int i = 0; i <= g.radius; i++) g.half[i] /= sum;
    return g;
}

/* Columns x to x + LANES * vectors - 1 of `weigh`, in registers. */
INLINE void weigh_columns(float *restrict to, int x, int vectors, const Gaussian *g,
                          const float *const before[MAX_RADIUS + 1], const float *const behind[MAX_RADIUS + 1]) {
    Floats sums[SUMS];
    for (int k = 0; k < vectors; k++) sums[k] = g->half[0] * *(const RowFloats *)(before[0] + x + k * LANES);
    for (int i = 1; i <= g->radius; i++)
        for (int k = 0; k < vectors; k++)
            sums[k] += g->half[i] * (*(const RowFloats *)(before[i] + x + k * LANES) +
                                     *(const RowFloats *)(behind[i] + x + k * LANES));
    for (int k = 0; k < vectors; k++) *(RowFloats *)(to + x + k * LANES) = sums[k];
}

/* to[x] = half[0] before[0][x] + sum over i > 0 of half[i] (before[i][x] + behind[i][x]). to: (width,).
 * The last vectors overlap those before them. */
INLINE void weigh(float *restrict to, int width, const Gaussian *g, const float *const before[MAX_RADIUS + 1],
                  const float *const behind[MAX_RADIUS + 1]) {
    const int several = SUMS * LANES;
    if (width >= several)
        for (int x = 0; x < width; x += several)
            weigh_columns(to, x + several <= width ? x : width - several, SUMS, g, before, behind);
    else
        for (int x = 0; x < width; x += LANES)
            weigh_columns(to, x + LANES <= width ? x : width - LANES, 1, g, before, behind);
}

/* Compute row y of `from` convolved with a Gaussian, reflected at the outermost pixel.
 * from, to: (H, W), both more than the radius; line: scratch (W + 2 radius,). */
INLINE void blur_row(const float *from, float *to, int width, int height, int y, const Gaussian *g, float *line) {
    const float *before[MAX_RADIUS + 1], *behind[MAX_RADIUS + 1];
    float *middle = line + g->radius;
    for (int i = 0; i <= g->radius; i++) {
        const int above = abs(y - i), below = y + i < height ? y + i : 2 * height - 2 - y - i;
        before[i] = from + (int64_t)above * width, behind[i] = from + (int64_t)below * width;
    }
    weigh(middle, width, g, before, behind);
    for (int i = 0; i <= g->radius; i++) {
        middle[-i] = middle[i], middle[width - 1 + i] = middle[width - 1 - i];
        before[i] = middle - i, behind[i] = middle + i;
    }
    weigh(to + (int64_t)y * width, width, g, before, behind);
}

/* Start the next octave with every second pixel of the picture that has twice the first sigma. */
static void halve(const Octave *from, Octave *to) {
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++)
            to->blurred[0][y * to->width + x] = from->blurred[LAYERS][2 * y * from->width + 2 * x];
}

/* ---- Keypoints: extrema of the differences of neighbouring blurs ---- */

/* Return the difference of two neighbouring blurs at an offset into the picture. */
static inline float dog(const Octave *o, int i, int64_t offset) {
    return o->blurred[i + 1][offset] - o->blurred[i][offset];
}

/* Return whether no neighbour in the three layers lies beyond this value. */
static int is_extremum(const Octave *o, int layer, int64_t offset) {
    const float value = dog(o, layer, offset), sign = value > 0 ? 1 : -1;
    for (int i = -1; i <= 1; i++)
        for (int y = -1; y <= 1; y++)
            for (int x = -1; x <= 1; x++)
                if (sign * dog(o, layer + i, offset + y * o->width + x) > sign * value) return 0;
    return 1;
}

/* Move a keypoint to the extremum of the parabola through its neighbours. Return whether there is a strong, corner-like
 * one. */
static int refine(const Octave *o, int x, int y, int layer, Point *point) {
    const int64_t row = o->width;
    for (int step = 0; step < REFINEMENTS; step++) {
        const int64_t p = y * row + x;
        const float v = dog(o, layer, p);
        const float gx = (dog(o, layer, p + 1) - dog(o, layer, p - 1)) / 2;
        const float gy = (dog(o, layer, p + row) - dog(o, layer, p - row)) / 2;
        const float gs = (dog(o, layer + 1, p) - dog(o, layer - 1, p)) / 2;
        const float xx = dog(o, layer, p + 1) + dog(o, layer, p - 1) - 2 * v;
        const float yy = dog(o, layer, p + row) + dog(o, layer, p - row) - 2 * v;
        const float ss = dog(o, layer + 1, p) + dog(o, layer - 1, p) - 2 * v;
        const float xy = (dog(o, layer, p + row + 1) - dog(o, layer, p + row - 1) - dog(o, layer, p - row + 1) +
                          dog(o, layer, p - row - 1)) / 4;
        const float xs = (dog(o, layer + 1, p + 1) - dog(o, layer + 1, p - 1) - dog(o, layer - 1, p + 1) +
                          dog(o, layer - 1, p - 1)) / 4;
        const float ys = (dog(o, layer + 1, p + row) - dog(o, layer + 1, p - row) - dog(o, layer - 1, p + row) +
                          dog(o, layer - 1, p - row)) / 4;
        /* Cramer's rule for Hessian . offset = -gradient */
        const float a = yy * ss - ys * ys, b = xs * ys - xy * ss, c = xy * ys - xs * yy;
        const float determinant = xx * a + xy * b + xs * c;
        if (determinant == 0) return 0;
        const float dx = -(a * gx + b * gy + c * gs) / determinant;
        const float dy = -(b * gx + (xx * ss - xs * xs) * gy + (xy * xs - xx * ys) * gs) / determinant;
        const float ds = -(c * gx + (xy * xs - xx * ys) * gy + (xx * yy - xy * xy) * gs) / determinant;
        if (fabsf(dx) < 0.5f && fabsf(dy) < 0.5f && fabsf(ds) < 0.5f) {
            const float strength = fabsf(v + (gx * dx + gy * dy + gs * ds) / 2);
            const float trace = xx + yy, curvature = xx * yy - xy * xy;
            if (strength < CONTRAST || trace * trace * EDGE >= (EDGE + 1) * (EDGE + 1) * curvature) return 0;
            *point = (Point){.x = (float)x + dx, .y = (float)y + dy, .strength = strength, .layer = layer,
                             .sigma = SIGMA * powf(2, ((float)layer + ds) / LAYERS)};
            return 1;
        }
        if (!(fabsf(dx) < MAX_PIXELS && fabsf(dy) < MAX_PIXELS && fabsf(ds) < MAX_PIXELS)) return 0;
        x += (int)lrintf(dx), y += (int)lrintf(dy), layer += (int)lrintf(ds);
        if (layer < 1 || layer > LAYERS || x < BORDER || x >= o->width - BORDER || y < BORDER ||
            y >= o->height - BORDER)
            return 0;
    }
    return 0;
}

/* Append a point; return 0 if there is no memory. */
static int append(Points *list, Point point) {
    if (list->count == list->room) {
        const int64_t room = 2 * list->room + 256;
        Point *points = realloc(list->points, (size_t)room * sizeof *points);
        if (!points) return 0;
        list->points = points, list->room = room;
    }
    list->points[list->count++] = point;
    return 1;
}

/* Flag the differences that are large and beyond their four neighbours in the layer.
 * above, here, below: (W,), three rows; flags: (W,), 0 or 1, those at the border stay as they are. */
INLINE void flag_extrema(const float *above, const float *here, const float *below, int width,
                         uint8_t *restrict flags) {
    for (int x = BORDER; x < width - BORDER; x++) {
        const float v = here[x], left = here[x - 1], right = here[x + 1], a = above[x], b = below[x];
        const float high = left > right ? left : right, higher = a > b ? a : b, most = high > higher ? high : higher;
        const float low = left < right ? left : right, lower = a < b ? a : b, least = low < lower ? low : lower;
        flags[x] = (uint8_t)(((v > CONTRAST / 2) & (v >= most)) | ((v < -CONTRAST / 2) & (v <= least)));
    }
}

/* Append the keypoints among the flagged pixels of a row. Return 0 if there is no memory. */
static int append_extrema(const Octave *o, int number, int layer, int y, const uint8_t *flags, Points *list) {
    enum { WORD = 8, WORDS = FLAGS / WORD };
    for (int x = BORDER; x < o->width - BORDER; x += FLAGS) {
        uint64_t set[WORDS], any = 0;
        memcpy(set, flags + x, FLAGS);
        for (int i = 0; i < WORDS; i++) any |= set[i];
        for (int i = 0; any && i < WORDS; i++)
            for (; set[i]; set[i] &= set[i] - 1) {
                const int at = x + i * WORD + __builtin_ctzll(set[i]) / 8; /* the first byte is the lowest */
                const Point point = {.x = (float)at, .y = (float)y, .octave = number, .layer = layer};
                if (is_extremum(o, layer, (int64_t)y * o->width + at) && !append(list, point)) return 0;
            }
    }
    return 1;
}

/* Refine the points from number `first` on, and keep those that are keypoints. */
static void refine_points(const Octave *o, int64_t first, Points *list) {
    const int64_t count = list->count;
    list->count = first;
    for (int64_t i = first; i < count; i++) {
        Point *p = &list->points[i], *to = &list->points[list->count];
        const int octave = p->octave;
        if (!refine(o, (int)p->x, (int)p->y, p->layer, to)) continue;
        to->octave = octave;
        list->count++;
    }
}

/* Scratch for rows: one that is half blurred, with margins; the last three of each layer's differences; flags. */
typedef struct {
    float *line;        /* (W + 2 MAX_RADIUS,) */
    float *differences; /* (LAYERS, 3, W) */
    uint8_t *flags;     /* (W + FLAGS,), 0 at the border */
} Rows;

/* Compute row y of the differences, and append the keypoints of the row before it. Return 0 if there is no memory. */
INLINE int find_points(const Octave *o, int number, int y, const Rows *rows, Points *list) {
    const int width = o->width;
    for (int layer = 1; layer <= LAYERS; layer++) {
        float *three = rows->differences + (layer - 1) * 3 * width, *below = three + y % 3 * width;
        for (int x = 0; x < width; x++) below[x] = dog(o, layer, (int64_t)y * width + x);
        if (y <= BORDER || y > o->height - BORDER) continue;
        flag_extrema(three + (y + 1) % 3 * width, three + (y + 2) % 3 * width, below, width, rows->flags);
        if (!append_extrema(o, number, layer, y - 1, rows->flags, list)) return 0;
    }
    return 1;
}

/* Compute an octave from its first picture, and append its keypoints. Return 0 if there is no memory.
 * Each row is computed as soon as the rows exist that it needs, so that these are still in the cache. */
INLINE int scan_octave(const Octave *o, int number, const Gaussian steps[BLURS], const Rows *rows, Points *list) {
    const int64_t before = list->count;
    int delay = 0;
    for (int i = 1; i < BLURS; i++) delay += steps[i].radius;
    memset(rows->flags, 0, (size_t)o->width + FLAGS);
    for (int ahead = 0; ahead < o->height + delay; ahead++) {
        int y = ahead;
        for (int i = 1; i < BLURS; i++) {
            y -= steps[i].radius;
            if (y >= 0 && y < o->height)
                blur_row(o->blurred[i - 1], o->blurred[i], o->width, o->height, y, &steps[i], rows->line);
        }
        if (y >= 0 && !find_points(o, number, y, rows, list)) return 0;
    }
    refine_points(o, before, list);
    return 1;
}

/* Order points by strength, strongest first; then by octave and position, so that the order is always the same. */
static int by_strength(const void *a, const void *b) {
    const Point *p = a, *q = b;
    if (p->strength != q->strength) return p->strength > q->strength ? -1 : 1;
    if (p->octave != q->octave) return p->octave - q->octave;
    return p->y != q->y ? (p->y > q->y) - (p->y < q->y) : (p->x > q->x) - (p->x < q->x);
}

/* ---- Directions and descriptors ---- */

/* Return atan2 in turns, 0 to 1, within 2e-6: Abramowitz and Stegun, Handbook of Mathematical Functions, 4.4.49. */
INLINE float turn_of(float y, float x) {
    const float ax = fabsf(x), ay = fabsf(y), most = ax > ay ? ax : ay;
    const float t = (ax > ay ? ay : ax) / (most > 0 ? most : 1), s = t * t;
    float angle = ((((((((0.0028662257f * s - 0.0161657367f) * s + 0.0429096138f) * s - 0.0752896400f) * s +
                       0.1065626393f) * s - 0.1420889944f) * s + 0.1999355085f) * s - 0.3333314528f) * s + 1) * t;
    angle = ay > ax ? PI / 2 - angle : angle;
    angle = (x < 0 ? PI - angle : angle) / (2 * PI);
    return y < 0 ? 1 - angle : angle;
}

/* Positions around a keypoint, in sigmas of it, and the weights of their gradients. */
typedef struct {
    int count;
    float u[SAMPLES], v[SAMPLES], weight[SAMPLES];
} Grid;

/* Gradients at the pixels nearest to the positions of a grid: weighted length, and direction in turns. */
typedef struct {
    float length[SAMPLES], turn[SAMPLES];
} Gradients;

/* Read the gradients on a grid rotated by `turn`; outside the picture they are 0.
 * Three loops, so that the compiler can vectorize two of them. */
INLINE void read_gradients(const Octave *o, const Point *p, const Grid *grid, float turn, Gradients *read) {
    const float *picture = o->blurred[p->layer];
    const float cosine = cosf(2 * PI * turn) * p->sigma, sine = sinf(2 * PI * turn) * p->sigma;
    const int width = o->width, height = o->height;
    int offset[SAMPLES];
    float gx[SAMPLES], gy[SAMPLES];
    for (int i = 0; i < grid->count; i++) {
        const float x = p->x + cosine * grid->u[i] - sine * grid->v[i] + 0.5f;
        const float y = p->y + sine * grid->u[i] + cosine * grid->v[i] + 0.5f;
        const int inside = (x >= 1) & (y >= 1) & (x < (float)(width - 1)) & (y < (float)(height - 1));
        offset[i] = inside ? (int)y * width + (int)x : width + 1;
        read->length[i] = inside ? grid->weight[i] : 0;
    }
    for (int i = 0; i < grid->count; i++) {
        const float *at = picture + offset[i];
        gx[i] = at[1] - at[-1], gy[i] = at[width] - at[-width];
    }
    for (int i = 0; i < grid->count; i++) {
        read->length[i] *= sqrtf(gx[i] * gx[i] + gy[i] * gy[i]);
        read->turn[i] = turn_of(gy[i], gx[i]);
    }
}

/* The grids, the same for all keypoints. */
typedef struct {
    Grid round, square;
    float shares[GRID]; /* of the second of the two cells between which a row or column of the square grid lies */
} Grids;

static void make_grids(Grids *grids) {
    const float half = GRID * SPACING * 0.4f; /* half of the window without the half cells at its rim */
    grids->round.count = 0, grids->square.count = GRID * GRID;
    for (int i = -(TURN_SIDE / 2); i <= TURN_SIDE / 2; i++)
        for (int j = -(TURN_SIDE / 2); j <= TURN_SIDE / 2; j++) {
            if (i * i + j * j > TURN_SIDE * TURN_SIDE / 4) continue;
            const float v = (float)i * SPACING, u = (float)j * SPACING;
            const int n = grids->round.count++;
            grids->round.u[n] = u, grids->round.v[n] = v;
            grids->round.weight[n] = expf(-(u * u + v * v) / (2 * TURN_SIGMA * TURN_SIGMA));
        }
    for (int i = 0; i < GRID; i++) {
        const float v = ((float)i - (GRID - 1) / 2.0f) * SPACING, cell = v / (half / 2) + (CELLS + 1) / 2.0f;
        grids->shares[i] = cell - (float)(int)cell;
        for (int j = 0; j < GRID; j++) {
            const float u = ((float)j - (GRID - 1) / 2.0f) * SPACING;
            const int n = GRID * i + j;
            grids->square.u[n] = u, grids->square.v[n] = v;
            grids->square.weight[n] = expf(-(u * u + v * v) / (2 * half * half));
        }
    }
}

/* Find the main directions of the gradients around a keypoint, in turns. Return their number. */
INLINE int find_directions(const Octave *o, const Point *p, const Grids *grids, float found[TURNS / 2]) {
    float histogram[TURNS + 1] = {0}, smooth[TURNS], highest = 0;
    Gradients read;
    read_gradients(o, p, &grids->round, 0, &read);
    for (int i = 0; i < grids->round.count; i++) histogram[(int)(read.turn[i] * TURNS + 0.5f)] += read.length[i];
    histogram[0] += histogram[TURNS];
    for (int i = 0; i < TURNS; i++) {
        const float *h = histogram;
        smooth[i] = (6 * h[i] + 4 * (h[(i + 1) % TURNS] + h[(i + TURNS - 1) % TURNS]) + h[(i + 2) % TURNS] +
                     h[(i + TURNS - 2) % TURNS]) / 16;
        if (smooth[i] > highest) highest = smooth[i];
    }
    int count = 0;
    for (int i = 0; i < TURNS; i++) {
        const float before = smooth[(i + TURNS - 1) % TURNS], here = smooth[i], after = smooth[(i + 1) % TURNS];
        if (here <= before || here <= after || here < PEAK * highest) continue;
        const float peak = (float)i + (before - after) / (2 * (before - 2 * here + after));
        found[count++] = peak < 0 ? peak / TURNS + 1 : peak / TURNS;
    }
    return count;
}

/* Compute a descriptor (4, 4, 8): cells from top to bottom and left to right, in the keypoint's own frame. */
INLINE void describe(const Octave *o, const Point *p, float turn, const Grids *grids, uint8_t descriptor[DIM]) {
    enum { STEP = GRID / (CELLS + 1) }; /* rows or columns between the middles of two cells */
    const BinFlags bins = {0, 1, 2, 3, 4, 5, 6, 7}, bins_before = {7, 0, 1, 2, 3, 4, 5, 6};
    Bins cells[CELLS + 2][CELLS + 2] = {{{0}}};
    float values[DIM], squares = 0, sum = 0, here[SAMPLES], next[SAMPLES];
    int32_t first[SAMPLES];
    Gradients read;
    read_gradients(o, p, &grids->square, turn, &read);
    for (int i = 0; i < SAMPLES; i++) {
        const float turned = (read.turn[i] - turn) * DIRECTIONS;
        const float direction = turned < 0 ? turned + DIRECTIONS : turned;
        const int d = (int)direction;
        first[i] = d % DIRECTIONS, next[i] = read.length[i] * (direction - (float)d);
        here[i] = read.length[i] - next[i];
    }
    for (int i = 0; i < GRID; i++) {
        Bins row[CELLS + 2] = {{0}};
        for (int j = 0; j < GRID; j++) {
            const int n = GRID * i + j;
            const Bins low = (Bins)((bins == first[n]) & (BinFlags)(here[n] + (Bins){0}));
            const Bins high = (Bins)((bins_before == first[n]) & (BinFlags)(next[n] + (Bins){0}));
            const Bins both = (Bins)((BinFlags)low | (BinFlags)high);
            row[j / STEP] += both - both * grids->shares[j];
            row[j / STEP + 1] += both * grids->shares[j];
        }
        for (int j = 1; j <= CELLS; j++) {
            cells[i / STEP][j] += row[j] * (1 - grids->shares[i]);
            cells[i / STEP + 1][j] += row[j] * grids->shares[i];
        }
    }
    for (int i = 0; i < CELLS; i++) memcpy(values + i * CELLS * DIRECTIONS, &cells[1 + i][1], sizeof values / CELLS);
    for (int i = 0; i < DIM; i++) squares += values[i] * values[i];
    const float most = CLIP * sqrtf(squares);
    for (int i = 0; i < DIM; i++) sum += values[i] = values[i] < most ? values[i] : most;
    const float scale = sum > 0 ? 1 / sum : 0;
    for (int i = 0; i < DIM; i++) {
        const float level = DESCRIPTOR_SCALE * sqrtf(values[i] * scale) + 0.5f;
        descriptor[i] = (uint8_t)(int)(level < 255 ? level : 255);
    }
}

/* ---- A picture ---- */

/* Allocate the octaves and the scratch rows in one piece and return it, for `free`.
 * Return NULL if there is no octave or no memory. Later octaves reuse pictures of the first that are not read again. */
static float *make_octaves(int width, int height, Octave octaves[MAX_OCTAVES], int *count, Rows *rows) {
    static const int order[BLURS] = {1, 2, 3, 0, 4, 5}; /* of the pictures: those that descriptors read come first */
    size_t first = (size_t)width * (size_t)height, floats = BLURS * first, later = LAYERS * first;
    for (*count = 0; *count < MAX_OCTAVES && width >= MIN_SIDE && height >= MIN_SIDE; (*count)++) {
        octaves[*count].width = width, octaves[*count].height = height;
        if (*count) later += BLURS * (size_t)width * (size_t)height;
        width = (width + 1) / 2, height = (height + 1) / 2;
    }
    if (!*count) return NULL;
    if (later > floats) floats = later;
    const size_t side = (size_t)octaves[0].width, lines = 3 * LAYERS * side + side + 2 * MAX_RADIUS;
    float *whole = malloc((floats + lines) * sizeof *whole + side + FLAGS), *memory = whole;
    for (int i = 0; whole && i < *count; i++) {
        const size_t size = (size_t)octaves[i].width * (size_t)octaves[i].height;
        for (int j = 0; j < BLURS; j++) octaves[i].blurred[order[j]] = memory + (size_t)j * size;
        memory += (i ? BLURS : LAYERS) * size;
    }
    if (whole) {
        rows->differences = whole + floats;
        rows->line = rows->differences + 3 * LAYERS * side;
        rows->flags = (uint8_t *)(whole + floats + lines);
    }
    return whole;
}

/* Detect the strongest features, strongest first. Return their number, or -1 if there is no memory.
 * pixels: (H, W), keypoints: (limit, 4): x, y, sigma in px and direction in turns, descriptors: (limit, 128). */
INLINE int64_t detect(const uint8_t *pixels, int width, int height, int64_t limit, float *keypoints,
                      uint8_t *descriptors) {
    Octave octaves[MAX_OCTAVES];
    Points list = {0};
    Rows rows;
    Grids grids;
    Gaussian steps[BLURS] = {gaussian(sqrtf(SIGMA * SIGMA - CAMERA_SIGMA * CAMERA_SIGMA))};
    float found[TURNS / 2];
    int count;
    float *memory = make_octaves(width, height, octaves, &count, &rows);
    if (!memory) return count ? -1 : 0;
    make_grids(&grids);
    for (int i = 1; i < BLURS; i++) {
        const float before = SIGMA * powf(2, (float)(i - 1) / LAYERS), after = SIGMA * powf(2, (float)i / LAYERS);
        steps[i] = gaussian(sqrtf(fmaf(after, after, -before * before))); /* rounded alike on every processor */
    }
    int64_t n = 0;
    for (int64_t i = 0; i < (int64_t)width * height; i++) octaves[0].blurred[1][i] = pixels[i];
    for (int y = 0; y < height; y++)
        blur_row(octaves[0].blurred[1], octaves[0].blurred[0], width, height, y, &steps[0], rows.line);
    for (int i = 0; i < count && n >= 0; i++) {
        if (i) halve(&octaves[i - 1], &octaves[i]);
        if (!scan_octave(&octaves[i], i, steps, &rows, &list)) n = -1;
    }
    if (n == 0 && list.count) qsort(list.points, (size_t)list.count, sizeof *list.points, by_strength);
    for (int64_t i = 0; i < list.count && n >= 0 && n < limit; i++) {
        const Point *p = &list.points[i];
        const Octave *o = &octaves[p->octave];
        const int turns = find_directions(o, p, &grids, found);
        for (int j = 0; j < turns && n < limit; j++, n++) {
            const float scale = (float)(1 << p->octave);
            const float row[4] = {p->x * scale, p->y * scale, p->sigma * scale, found[j]};
            memcpy(keypoints + 4 * n, row, sizeof row);
            describe(o, p, found[j], &grids, descriptors + DIM * n);
        }
    }
    free(list.points);
    free(memory);
    return n;
}

typedef int64_t Detect(const uint8_t *pixels, int width, int height, int64_t limit, float *keypoints,
                       uint8_t *descriptors);

static int64_t detect_plain(const uint8_t *pixels, int width, int height, int64_t limit, float *keypoints,
                            uint8_t *descriptors) {
    return detect(pixels, width, height, limit, keypoints, descriptors);
}

#ifdef TARGET_AVX2_FMA
TARGET_AVX2_FMA static int64_t detect_avx2(const uint8_t *pixels, int width, int height, int64_t limit,
                                           float *keypoints, uint8_t *descriptors) {
    return detect(pixels, width, height, limit, keypoints, descriptors);
}
#endif

/* Return the fastest version that this processor runs. */
static Detect *choose_detect(void) {
#ifdef TARGET_AVX2_FMA
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return detect_avx2;
#endif
    return detect_plain;
}

int64_t detect_features(const uint8_t *pixels, int width, int height, int64_t limit, float *keypoints,
                        uint8_t *descriptors) {
    return choose_detect()(pixels, width, height, limit, keypoints, descriptors);
}
