/* Scale-invariant features of a grey picture: Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004,
 * with descriptors as in Arandjelovic, Zisserman, Three Things Everyone Should Know to Improve Object Retrieval, CVPR 2012.
 *
 * `sift.py` holds the numpy twin, which is the specification: the steps have the same names there. Unlike Lowe's,
 * gradients are read on a fixed grid around the keypoint, turned and scaled with it, so that the work of a keypoint does
 * not grow with its scale and the weights of the grid are worked out once.
 *
 * Shapes: H height, W width in px; an octave halves both. Six blurred pictures an octave, float32, 0 to 255.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define AVX2 __attribute__((target("avx2,fma")))
#endif

/* What is compiled for several kinds of registers has to become part of each. */
#define INLINE static inline __attribute__((always_inline))
#define PI 3.14159265358979f

enum {
    LAYERS = 3,            /* scales of an octave in which keypoints lie */
    BLURS = LAYERS + 3,
    BORDER = 5,            /* px without keypoints */
    MIN_SIDE = 16,         /* px of the smallest octave */
    MAX_PIXELS = 1 << 21,
    MAX_OCTAVES = 8,
    MAX_RADIUS = 16,
    EIGHT = 8,
    REFINEMENTS = 5,
    TURNS = 36,            /* bins of the histogram of gradients from which a keypoint takes its direction */
    TURN_SIDE = 13,        /* samples a side of its grid */
    CELLS = 4,             /* a side, of a descriptor */
    DIRECTIONS = 8,
    GRID = 20,             /* samples a side of the descriptor's grid */
    DIM = CELLS * CELLS * DIRECTIONS
};
static const float SIGMA = 1.6f;        /* px, of an octave's first picture */
static const float CAMERA_SIGMA = 0.5f; /* px, taken for granted in the photo */
static const float CONTRAST = 255 * 0.04f / LAYERS;
static const float EDGE = 10;           /* of curvatures, at most */
static const float SPACING = 0.75f;     /* of both grids, in sigmas of the keypoint */
static const float TURN_SIGMA = 1.5f;   /* of the weights of the direction's grid, in sigmas of the keypoint */
static const float PEAK = 0.8f;         /* a second direction is taken from this share of the highest peak */
static const float CLIP = 0.2f;
static const float DESCRIPTOR_SCALE = 512;

typedef float Floats __attribute__((vector_size(EIGHT * sizeof(float)))); /* split in two where registers are narrower */

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

/* The right half of a Gaussian, its middle first; returns the radius. */
static int gaussian(float sigma, float half[MAX_RADIUS + 1]) {
    const int radius = (int)ceilf(3 * sigma) < MAX_RADIUS ? (int)ceilf(3 * sigma) : MAX_RADIUS;
    float sum = 0;
    for (int i = 0; i <= radius; i++) {
        half[i] = expf(-0.5f * (float)(i * i) / (sigma * sigma));
        sum += i ? 2 * half[i] : half[i];
    }
    for (int i = 0; i <= radius; i++) half[i] /= sum;
    return radius;
}

/* A place beyond the border, mirrored at the outermost pixel. */
static inline int mirrored(int i, int size) {
    while (i < 0 || i >= size) i = i < 0 ? -i : 2 * size - 2 - i;
    return i;
}

/* Sums of pixels that lie as far before as behind: to[x] = half[0] middle[x] + sum of half[i] (before[i][x] + behind[i][x]).
 * Sixteen at a time, which stay in registers. */
INLINE void weigh(float *restrict to, int width, const float *half, int radius,
                         const float *const before[MAX_RADIUS + 1], const float *const behind[MAX_RADIUS + 1]) {
    int x = 0;
    for (; x + 2 * EIGHT <= width; x += 2 * EIGHT) {
        Floats first, second, a, b;
        memcpy(&first, before[0] + x, sizeof first), memcpy(&second, before[0] + x + EIGHT, sizeof second);
        first *= half[0], second *= half[0];
        for (int i = 1; i <= radius; i++) {
            memcpy(&a, before[i] + x, sizeof a), memcpy(&b, behind[i] + x, sizeof b);
            first += half[i] * (a + b);
            memcpy(&a, before[i] + x + EIGHT, sizeof a), memcpy(&b, behind[i] + x + EIGHT, sizeof b);
            second += half[i] * (a + b);
        }
        memcpy(to + x, &first, sizeof first), memcpy(to + x + EIGHT, &second, sizeof second);
    }
    for (; x < width; x++) {
        float sum = half[0] * before[0][x];
        for (int i = 1; i <= radius; i++) sum += half[i] * (before[i][x] + behind[i][x]);
        to[x] = sum;
    }
}

/* to = from * Gaussian. from, to: (H, W); line: room for W + 2 radius. */
INLINE void blur(const float *from, float *to, int width, int height, const float *half, int radius,
                        float *line) {
    const float *before[MAX_RADIUS + 1], *behind[MAX_RADIUS + 1];
    float *middle = line + radius;
    for (int y = 0; y < height; y++) {
        for (int i = 0; i <= radius; i++) {
            before[i] = from + (int64_t)mirrored(y - i, height) * width;
            behind[i] = from + (int64_t)mirrored(y + i, height) * width;
        }
        weigh(middle, width, half, radius, before, behind);
        for (int i = 0; i <= radius; i++) {
            middle[-i] = middle[mirrored(-i, width)];
            middle[width - 1 + i] = middle[mirrored(width - 1 + i, width)];
            before[i] = middle - i, behind[i] = middle + i;
        }
        weigh(to + (int64_t)y * width, width, half, radius, before, behind);
    }
}

typedef void Blur(const float *from, float *to, int width, int height, const float *half, int radius, float *line);

static void blur_plain(const float *from, float *to, int width, int height, const float *half, int radius,
                       float *line) {
    blur(from, to, width, height, half, radius, line);
}

#ifdef AVX2
AVX2 static void blur_avx2(const float *from, float *to, int width, int height, const float *half, int radius,
                           float *line) {
    blur(from, to, width, height, half, radius, line);
}
#endif

static Blur *blur_here(void) {
#ifdef AVX2
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return blur_avx2;
#endif
    return blur_plain;
}

/* Fills an octave whose first picture is there; line: room for W + 2 MAX_RADIUS. */
static void blur_octave(Octave *octave, Blur *blurring, float *line) {
    float half[MAX_RADIUS + 1];
    for (int i = 1; i < BLURS; i++) {
        const float before = SIGMA * powf(2, (float)(i - 1) / LAYERS), after = SIGMA * powf(2, (float)i / LAYERS);
        const int radius = gaussian(sqrtf(after * after - before * before), half);
        blurring(octave->blurred[i - 1], octave->blurred[i], octave->width, octave->height, half, radius, line);
    }
}

/* The next octave begins with every second pixel of the picture of twice the first sigma. */
static void halve(const Octave *from, Octave *to) {
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++)
            to->blurred[0][y * to->width + x] = from->blurred[LAYERS][2 * y * from->width + 2 * x];
}

/* ---- Keypoints: extrema of the differences of neighbouring blurs ---- */

/* difference i of an octave at a place */
static inline float dog(const Octave *o, int i, int64_t place) {
    return o->blurred[i + 1][place] - o->blurred[i][place];
}

static int is_extremum(const Octave *o, int layer, int64_t place) {
    const float value = dog(o, layer, place), sign = value > 0 ? 1 : -1;
    for (int i = -1; i <= 1; i++)
        for (int y = -1; y <= 1; y++)
            for (int x = -1; x <= 1; x++)
                if (sign * dog(o, layer + i, place + y * o->width + x) > sign * value) return 0;
    return 1;
}

/* Moves a keypoint to the extremum of the parabola through its neighbours; returns whether it stands. */
static int refined(const Octave *o, int x, int y, int layer, Point *point) {
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

/* marks[x] = the difference at x is large and beyond its four neighbours in the layer; above, here, below: (W,). */
static void mark(const float *restrict above, const float *restrict here, const float *restrict below, int width,
                 uint8_t *restrict marks) {
    for (int x = BORDER; x < width - BORDER; x++) {
        const float v = here[x], l = here[x - 1], r = here[x + 1], a = above[x], b = below[x];
        const int highest = (v > CONTRAST / 2) & (v >= l) & (v >= r) & (v >= a) & (v >= b);
        const int lowest = (v < -CONTRAST / 2) & (v <= l) & (v <= r) & (v <= a) & (v <= b);
        marks[x] = (uint8_t)(highest | lowest);
    }
}

/* lines: room for 4 W. Returns 0 where there is no memory. */
static int find_points(const Octave *o, int number, float *lines, Points *list) {
    const int width = o->width;
    uint8_t *marks = (uint8_t *)(lines + 3 * width);
    for (int layer = 1; layer <= LAYERS; layer++)
        for (int y = BORDER - 1; y <= o->height - BORDER; y++) {
            const int64_t row = (int64_t)y * width;
            float *below = lines + y % 3 * width, *here = lines + (y + 2) % 3 * width, *above = lines + (y + 1) % 3 * width;
            for (int x = 0; x < width; x++) below[x] = dog(o, layer, row + x);
            if (y <= BORDER) continue;
            mark(above, here, below, width, marks);
            for (int x = BORDER; x < width - BORDER; x++) {
                Point point;
                if (!marks[x] || !is_extremum(o, layer, row - width + x)) continue;
                if (!refined(o, x, y - 1, layer, &point)) continue;
                point.octave = number;
                if (!append(list, point)) return 0;
            }
        }
    return 1;
}

static int by_strength(const void *a, const void *b) {
    const Point *p = a, *q = b;
    if (p->strength != q->strength) return p->strength > q->strength ? -1 : 1;
    if (p->octave != q->octave) return p->octave - q->octave;
    return p->y != q->y ? (p->y > q->y) - (p->y < q->y) : (p->x > q->x) - (p->x < q->x);
}

/* ---- Directions and descriptors ---- */

/* atan2 in turns, 0 to 1, to 2e-6 of one: Abramowitz and Stegun, Handbook of Mathematical Functions, 4.4.49. */
static inline float turn_of(float y, float x) {
    const float ax = fabsf(x), ay = fabsf(y), most = ax > ay ? ax : ay;
    if (most == 0) return 0;
    const float t = (ax > ay ? ay : ax) / most, s = t * t;
    float angle = ((((((((0.0028662257f * s - 0.0161657367f) * s + 0.0429096138f) * s - 0.0752896400f) * s +
                       0.1065626393f) * s - 0.1420889944f) * s + 0.1999355085f) * s - 0.3333314528f) * s + 1) * t;
    if (ay > ax) angle = PI / 2 - angle;
    if (x < 0) angle = PI - angle;
    angle /= 2 * PI;
    return y < 0 ? 1 - angle : angle;
}

/* The gradient at the pixel nearest to a place; 0 beyond the border. */
static inline int gradient(const Octave *o, int layer, float x, float y, float *gx, float *gy) {
    if (!(x >= 0.5f && y >= 0.5f)) return 0;
    const int column = (int)(x + 0.5f), row = (int)(y + 0.5f);
    if (column > o->width - 2 || row > o->height - 2) return 0;
    const float *at = o->blurred[layer] + (int64_t)row * o->width + column;
    *gx = at[1] - at[-1], *gy = at[o->width] - at[-o->width];
    return 1;
}

/* What the samples of both grids have in common for all keypoints; places in sigmas of the keypoint. */
typedef struct {
    float u, v, weight;
    int cell;                /* of a descriptor, the first of four that share a sample; rows of CELLS + 2 */
    float lower, right;      /* shares of the cells below and to the right */
} Sample;

typedef struct {
    Sample turn[TURN_SIDE * TURN_SIDE], grid[GRID * GRID];
    int turns; /* samples of the round grid */
} Samples;

static void make_samples(Samples *samples) {
    const float half = GRID * SPACING * 0.4f; /* the window without its half cells at the rim, halved */
    samples->turns = 0;
    for (int i = -(TURN_SIDE / 2); i <= TURN_SIDE / 2; i++)
        for (int j = -(TURN_SIDE / 2); j <= TURN_SIDE / 2; j++) {
            const float v = (float)i * SPACING, u = (float)j * SPACING;
            if (i * i + j * j <= TURN_SIDE * TURN_SIDE / 4)
                samples->turn[samples->turns++] =
                    (Sample){.u = u, .v = v, .weight = expf(-(u * u + v * v) / (2 * TURN_SIGMA * TURN_SIGMA))};
        }
    for (int i = 0; i < GRID; i++)
        for (int j = 0; j < GRID; j++) {
            const float v = ((float)i - (GRID - 1) / 2.0f) * SPACING, u = ((float)j - (GRID - 1) / 2.0f) * SPACING;
            const float row = v / (half / 2) + (CELLS + 1) / 2.0f, column = u / (half / 2) + (CELLS + 1) / 2.0f;
            samples->grid[GRID * i + j] = (Sample){
                .u = u, .v = v, .weight = expf(-(u * u + v * v) / (2 * half * half)),
                .cell = (int)row * (CELLS + 2) + (int)column,
                .lower = row - (float)(int)row, .right = column - (float)(int)column};
        }
}

/* Where the gradients around a keypoint point to most, in turns; returns how many such directions, at most TURNS / 2. */
static int directions(const Octave *o, const Point *p, const Samples *samples, float found[TURNS / 2]) {
    float histogram[TURNS + 1] = {0}, smooth[TURNS], highest = 0;
    for (int i = 0; i < samples->turns; i++) {
        const Sample *s = &samples->turn[i];
        float gx, gy;
        if (gradient(o, p->layer, p->x + s->u * p->sigma, p->y + s->v * p->sigma, &gx, &gy))
            histogram[(int)(turn_of(gy, gx) * TURNS + 0.5f)] += s->weight * sqrtf(gx * gx + gy * gy);
    }
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

/* descriptor: (4, 4, 8), cells from top to bottom and left to right as the keypoint's direction sees them. */
static void describe(const Octave *o, const Point *p, float turn, const Samples *samples, uint8_t descriptor[DIM]) {
    float padded[(CELLS + 2) * (CELLS + 2)][DIRECTIONS] = {{0}}, values[DIM], squares = 0, sum = 0;
    const float cosine = cosf(2 * PI * turn) * p->sigma, sine = sinf(2 * PI * turn) * p->sigma;
    for (int i = 0; i < GRID * GRID; i++) {
        const Sample *s = &samples->grid[i];
        float gx, gy;
        if (!gradient(o, p->layer, p->x + cosine * s->u - sine * s->v, p->y + sine * s->u + cosine * s->v, &gx, &gy))
            continue;
        float direction = (turn_of(gy, gx) - turn) * DIRECTIONS;
        if (direction < 0) direction += DIRECTIONS;
        const int d = (int)direction, first = d % DIRECTIONS, second = (d + 1) % DIRECTIONS;
        const float size = sqrtf(gx * gx + gy * gy) * s->weight, part = direction - (float)d;
        const float lower = size * s->lower, upper = size - lower;
        const float shares[4] = {upper - upper * s->right, upper * s->right, lower - lower * s->right, lower * s->right};
        float(*const cells[4])[DIRECTIONS] = {&padded[s->cell], &padded[s->cell + 1], &padded[s->cell + CELLS + 2],
                                              &padded[s->cell + CELLS + 3]};
        for (int k = 0; k < 4; k++) {
            (*cells[k])[first] += shares[k] * (1 - part);
            (*cells[k])[second] += shares[k] * part;
        }
    }
    for (int i = 0; i < DIM; i++) {
        const int cell = i / DIRECTIONS;
        values[i] = padded[(1 + cell / CELLS) * (CELLS + 2) + 1 + cell % CELLS][i % DIRECTIONS];
        squares += values[i] * values[i];
    }
    const float most = CLIP * sqrtf(squares);
    for (int i = 0; i < DIM; i++) sum += values[i] = values[i] < most ? values[i] : most;
    for (int i = 0; i < DIM; i++) {
        const float level = sum > 0 ? DESCRIPTOR_SCALE * sqrtf(values[i] / sum) + 0.5f : 0;
        descriptor[i] = (uint8_t)(level < 255 ? level : 255);
    }
}

/* ---- One picture ---- */

/* Room for all octaves and for lines of 4 W + 2 MAX_RADIUS, in one piece, which is returned; NULL where there is none. */
static float *make_octaves(int width, int height, Octave octaves[MAX_OCTAVES], int *count, float **line) {
    size_t floats = 0;
    for (*count = 0; *count < MAX_OCTAVES && width >= MIN_SIDE && height >= MIN_SIDE; (*count)++) {
        octaves[*count].width = width, octaves[*count].height = height;
        floats += (size_t)width * (size_t)height * BLURS;
        width = (width + 1) / 2, height = (height + 1) / 2;
    }
    float *whole = *count ? malloc((floats + 4 * (size_t)octaves[0].width + 2 * MAX_RADIUS) * sizeof *whole) : NULL;
    float *memory = whole;
    for (int i = 0; whole && i < *count; i++)
        for (int j = 0; j < BLURS; j++) {
            octaves[i].blurred[j] = memory;
            memory += (size_t)octaves[i].width * (size_t)octaves[i].height;
        }
    *line = memory;
    return whole;
}

/* pixels: (H, W); keypoints: (most, 4), px and turns: x, y, sigma, direction; descriptors: (most, 128).
 * The strongest first; returns how many were found, -1 where there is no memory. */
static int64_t detect(const uint8_t *pixels, int width, int height, int64_t most, float *keypoints,
                      uint8_t *descriptors) {
    Octave octaves[MAX_OCTAVES];
    Points list = {0};
    float half[MAX_RADIUS + 1], *line, found[TURNS / 2];
    Samples samples;
    int count;
    float *memory = make_octaves(width, height, octaves, &count, &line);
    if (!memory) return count ? -1 : 0;
    Blur *blurring = blur_here();
    make_samples(&samples);
    int64_t n = 0;
    for (int64_t i = 0; i < (int64_t)width * height; i++) octaves[0].blurred[1][i] = pixels[i];
    const int radius = gaussian(sqrtf(SIGMA * SIGMA - CAMERA_SIGMA * CAMERA_SIGMA), half);
    blurring(octaves[0].blurred[1], octaves[0].blurred[0], width, height, half, radius, line);
    for (int i = 0; i < count && n >= 0; i++) {
        if (i) halve(&octaves[i - 1], &octaves[i]);
        blur_octave(&octaves[i], blurring, line);
        if (!find_points(&octaves[i], i, line, &list)) n = -1;
    }
    if (n == 0 && list.count) qsort(list.points, (size_t)list.count, sizeof *list.points, by_strength);
    for (int64_t i = 0; i < list.count && n >= 0 && n < most; i++) {
        const Point *p = &list.points[i];
        const Octave *o = &octaves[p->octave];
        const int turns = directions(o, p, &samples, found);
        for (int j = 0; j < turns && n < most; j++, n++) {
            const float scale = (float)(1 << p->octave);
            const float row[4] = {p->x * scale, p->y * scale, p->sigma * scale, found[j]};
            memcpy(keypoints + 4 * n, row, sizeof row);
            describe(o, p, found[j], &samples, descriptors + DIM * n);
        }
    }
    free(list.points);
    free(memory);
    return n;
}

/* ---- Python ---- */

PyDoc_STRVAR(detect_doc, "detect(pixels, width, height, out_keypoints, out_descriptors) -> int\n\n"
                         "As sift.detect; returns how many were found. Raises ValueError: sizes that do not fit.");

static PyObject *detect_in(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer pixels, keypoints, descriptors;
    int width, height;
    if (!PyArg_ParseTuple(args, "y*iiw*w*:detect", &pixels, &width, &height, &keypoints, &descriptors)) return NULL;
    const int64_t most = descriptors.len / DIM;
    int64_t n = -2;
    if (width > 0 && height > 0 && width <= MAX_PIXELS / height && pixels.len == (int64_t)width * height &&
        descriptors.len == most * DIM && keypoints.len == most * 4 * (int64_t)sizeof(float)) {
        Py_BEGIN_ALLOW_THREADS
        n = detect(pixels.buf, width, height, most, keypoints.buf, descriptors.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&pixels);
    PyBuffer_Release(&keypoints);
    PyBuffer_Release(&descriptors);
    if (n == -2) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together, or the picture is too large");
    return n < 0 ? PyErr_NoMemory() : PyLong_FromLongLong(n);
}

static PyMethodDef methods[] = {{"detect", detect_in, METH_VARARGS, detect_doc}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_sift", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__sift(void) { return PyModuleDef_Init(&definition); }
