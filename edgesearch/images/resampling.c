/* Cut squares out of a picture and resize them to the input of a network, all in one call; resize grey pictures.
 *
 * The twins in `network_input.py` and `grey_resizing.py` are the specification. They resize with Pillow's filters, and
 * this computes the same to the last bit: weights in double precision, rounded to integers; rows first, rounded to
 * bytes, then columns, or the other way round, as Pillow 13 does with tall pictures.
 *
 * Shapes: H, W px of the picture; B squares; S px, the side of the result. The picture lies on a canvas, which has one
 * colour around it.
 */

#include "resampling.h"

#include "../_util/loops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static const double PI = 3.14159265358979323846;

enum {
    PRECISION = 22,    /* bits of a weight's fraction */
    PIXEL = 4,         /* bytes of a pixel in a line; the last is 0 */
    ROWS = 4,          /* rows of a line, which are resized together */
    SIXTEEN = 16,      /* results that are computed together */
    MAX_SHRINKING = 5, /* px of the picture to one of the result */
    MAX_REACH = 3,     /* px of the result in which a pixel weighs, to each side */
    MAX_TAPS = 2 * MAX_REACH * MAX_SHRINKING + 1
};

typedef struct {
    const uint8_t *pixels; /* (H, W, 3) */
    int width, height;
    uint8_t border[CHANNELS]; /* colour around it */
} Picture;

/* A square to cut out of a canvas. */
typedef struct {
    float left, top, right, bottom; /* px of the canvas */
    int x, y;                       /* position of the picture on the canvas */
    int width, height;              /* of the canvas */
} Square;

/* Return how much a pixel at a distance weighs: Pillow's filters, in the order of `Filter`. */
static double weigh_triangle(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

static double weigh_bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x) { return x != 0 ? sin(x * PI) / (x * PI) : 1; }

static double weigh_lanczos(double x) { return fabs(x) < 3 ? sinc(x) * sinc(x / 3) : 0; }

static const struct {
    double (*weigh)(double distance);
    double reach; /* distance from which a pixel weighs nothing */
} FILTERS[] = {[TRIANGLE] = {weigh_triangle, 1}, [BICUBIC] = {weigh_bicubic, 2}, [LANCZOS] = {weigh_lanczos, 3}};

/* Result i is the sum over t < count[i] of weights[i * most + t] * pixel[first[i] + t]. */
typedef struct {
    int begin, end; /* the pixels that are read */
    int most;       /* weights of a result */
    int32_t *first, *count, *weights;
} Weights;

/* Allocate weights of some results, for `free_weights`; return whether there is enough memory. */
static int allocate_weights(int results, int most, Weights *w) {
    w->most = most;
    w->first = malloc((size_t)results * (2 + (size_t)most) * sizeof *w->first);
    if (w->first) w->count = w->first + results, w->weights = w->count + results;
    return w->first != NULL;
}

static void free_weights(Weights *w) { free(w->first); }

/* Compute the weights of a filter. size: px of the canvas. */
static void make_weights(float from, float to, int size, int side, enum Filter filter, Weights *w) {
    const double scale = (double)(to - from) / side, wide = scale > 1 ? scale : 1;
    const double reach = FILTERS[filter].reach * wide;
    w->begin = size, w->end = 0;
    for (int i = 0; i < side; i++) {
        const double middle = from + (i + 0.5) * scale;
        const int low = (int)(middle - reach + 0.5), high = (int)(middle + reach + 0.5);
        const int first = low < 0 ? 0 : low, end = high > size ? size : high;
        double shares[MAX_TAPS], sum = 0;
        for (int t = 0; t < end - first; t++)
            sum += shares[t] = FILTERS[filter].weigh((t + first - middle + 0.5) * (1 / wide));
        for (int t = 0; t < end - first; t++) {
            const double share = sum != 0 ? shares[t] / sum : 0;
            w->weights[i * w->most + t] = (int32_t)((share < 0 ? -0.5 : 0.5) + share * (1 << PRECISION));
        }
        w->first[i] = first, w->count[i] = end - first;
        w->begin = first < w->begin ? first : w->begin, w->end = end > w->end ? end : w->end;
    }
}

/* Make each result the pixel of the same number. */
static void make_identity(int side, Weights *w) {
    w->begin = 0, w->end = side;
    for (int i = 0; i < side; i++) w->first[i] = i, w->count[i] = 1, w->weights[i * w->most] = 1 << PRECISION;
}

/* Copy a row of the canvas, px `begin` to before `end`, into row r of a line. line: (end - begin, ROWS, PIXEL). */
INLINE void copy_row(const Picture *p, const Square *s, int row, int begin, int end, int r, uint8_t *line) {
    const int y = row - s->y, inside = y >= 0 && y < p->height;
    const int from = !inside || s->x > end ? end : (s->x > begin ? s->x : begin);
    const int last = s->x + p->width, to = !inside || last < from ? from : (last < end ? last : end);
    uint8_t *at = line + r * PIXEL;
    for (int x = begin; x < from; x++, at += ROWS * PIXEL) memcpy(at, p->border, CHANNELS);
    for (int x = from; x < to; x++, at += ROWS * PIXEL)
        memcpy(at, p->pixels + ((int64_t)y * p->width + x - s->x) * CHANNELS, CHANNELS);
    for (int x = to; x < end; x++, at += ROWS * PIXEL) memcpy(at, p->border, CHANNELS);
}

/* Return the sum over t of weights[t] * from[t * stride], rounded and limited to 0 to 255. */
INLINE uint8_t weigh_one(const uint8_t *from, int64_t stride, const int32_t *weights, int count) {
    int32_t sum = 1 << (PRECISION - 1);
    for (int t = 0; t < count; t++) sum += weights[t] * from[t * stride];
    sum >>= PRECISION;
    return (uint8_t)(sum < 0 ? 0 : (sum > UINT8_MAX ? UINT8_MAX : sum));
}

/* Do so for sixteen neighbours: first plain C, then vector instructions, which must give the same results. */
typedef void Weigh(const uint8_t *from, int64_t stride, const int32_t *weights, int count, uint8_t results[SIXTEEN]);

INLINE void weigh_plain(const uint8_t *from, int64_t stride, const int32_t *weights, int count,
                        uint8_t results[SIXTEEN]) {
    for (int k = 0; k < SIXTEEN; k++) results[k] = weigh_one(from + k, stride, weights, count);
}

#ifdef TARGET_AVX2
TARGET_AVX2 INLINE void weigh_avx2(const uint8_t *from, int64_t stride, const int32_t *weights, int count,
                                   uint8_t results[SIXTEEN]) {
    __m256i low = _mm256_set1_epi32(1 << (PRECISION - 1)), high = low;
    for (int t = 0; t < count; t++, from += stride) {
        const __m256i weight = _mm256_set1_epi32(weights[t]);
        const __m256i a = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)from));
        const __m256i b = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(from + SIXTEEN / 2)));
        low = _mm256_add_epi32(low, _mm256_mullo_epi32(a, weight));
        high = _mm256_add_epi32(high, _mm256_mullo_epi32(b, weight));
    }
    const __m256i pairs = _mm256_packs_epi32(_mm256_srai_epi32(low, PRECISION), _mm256_srai_epi32(high, PRECISION));
    const __m256i ordered = _mm256_permute4x64_epi64(pairs, 0xd8);
    _mm_storeu_si128((__m128i *)results,
                     _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}
#endif

/* Resize the rows of a line. line: from px `across->begin`, rows: (3, height, S), of which this writes four rows. */
INLINE void resize_rows(const uint8_t *line, const Weights *across, int side, int64_t height, uint8_t *rows,
                        Weigh *weigh) {
    for (int i = 0; i < side; i++) {
        const uint8_t *from = line + (across->first[i] - across->begin) * ROWS * PIXEL;
        uint8_t results[SIXTEEN];
        weigh(from, ROWS * PIXEL, across->weights + i * across->most, across->count[i], results);
        for (int c = 0; c < CHANNELS; c++)
            for (int r = 0; r < ROWS; r++) rows[(c * height + r) * side + i] = results[r * PIXEL + c];
    }
}

/* Resize the columns of one channel. rows: (height, S) from row `down->begin`, to: (S, S). */
INLINE void resize_columns(const uint8_t *rows, const Weights *down, int side, float scale, float offset, float *to,
                           Weigh *weigh) {
    for (int i = 0; i < side; i++, to += side) {
        const uint8_t *from = rows + (int64_t)(down->first[i] - down->begin) * side;
        int x = 0;
        for (; x + SIXTEEN <= side; x += SIXTEEN) {
            uint8_t results[SIXTEEN];
            weigh(from + x, side, down->weights + i * down->most, down->count[i], results);
            for (int k = 0; k < SIXTEEN; k++) to[x + k] = (float)results[k] * scale + offset;
        }
        for (; x < side; x++) {
            const uint8_t result = weigh_one(from + x, side, down->weights + i * down->most, down->count[i]);
            to[x] = (float)result * scale + offset;
        }
    }
}

/* Resize the columns of a picture, px `begin` to before `end` of each row. to: (S, end - begin, 3). */
INLINE void resize_columns_first(const Picture *p, const Weights *down, int begin, int end, int side, uint8_t *to,
                                 Weigh *weigh) {
    const int count = (end - begin) * CHANNELS;
    const int64_t stride = (int64_t)p->width * CHANNELS;
    for (int i = 0; i < side; i++, to += count) {
        const uint8_t *from = p->pixels + down->first[i] * stride + begin * CHANNELS;
        int x = 0;
        for (; x + SIXTEEN <= count; x += SIXTEEN) {
            weigh(from + x, stride, down->weights + i * down->most, down->count[i], to + x);
        }
        for (; x < count; x++) to[x] = weigh_one(from + x, stride, down->weights + i * down->most, down->count[i]);
    }
}

/* Memory for one square at a time; the arrays have room for the pixels around it that weigh too. */
typedef struct {
    Weights across, down;
    uint8_t *line;   /* (widest square, ROWS, PIXEL) */
    uint8_t *rows;   /* (3, highest square, S) */
    uint8_t *narrow; /* (S, widest square, 3) */
} Scratch;

/* Cut out one square. to: (3, S, S). */
INLINE void crop(const Picture *p, const Square *s, int side, float scale, float offset, Scratch *scratch, float *to,
                 Weigh *weigh) {
    Weights *across = &scratch->across, *down = &scratch->down;
    make_weights(s->left, s->right, s->width, side, TRIANGLE, across);
    make_weights(s->top, s->bottom, s->height, side, TRIANGLE, down);
    Picture low;
    Square moved;
    if (s->height > side && s->height - side > 2 * (s->width - side)) { /* a picture, because canvases are square */
        resize_columns_first(p, down, across->begin, across->end, side, scratch->narrow, weigh);
        low = (Picture){.pixels = scratch->narrow, .width = across->end - across->begin, .height = side};
        moved = (Square){.x = across->begin};
        p = &low, s = &moved;
        make_identity(side, down);
    }
    const int height = (down->end - down->begin + ROWS - 1) / ROWS * ROWS;
    for (int y = 0; y < height; y += ROWS) {
        for (int r = 0; r < ROWS; r++)
            copy_row(p, s, down->begin + y + r, across->begin, across->end, r, scratch->line);
        resize_rows(scratch->line, across, side, height, scratch->rows + (int64_t)y * side, weigh);
    }
    for (int c = 0; c < CHANNELS; c++)
        resize_columns(scratch->rows + (int64_t)c * height * side, down, side, scale, offset,
                       to + (int64_t)c * side * side, weigh);
}

/* ---- Grey pictures ---- */

/* A grey picture to resize, and memory for it. */
typedef struct {
    const uint8_t *pixels; /* (H, W) */
    int width, height, to_width, to_height;
    Weights across, down;
    uint8_t *line;   /* (W, 16): sixteen rows, whose pixels lie side by side */
    uint8_t *middle; /* the picture, after rows or columns were resized */
} Grey;

/* Resize the rows of a picture. from: (height, g->width), to: (height, g->to_width). */
INLINE void resize_across(const Grey *g, const uint8_t *from, int height, uint8_t *to, Weigh *weigh) {
    const Weights *across = &g->across;
    for (int y = 0; y < height; y += SIXTEEN) {
        const int rows = height - y < SIXTEEN ? height - y : SIXTEEN;
        for (int r = 0; r < rows; r++)
            for (int x = 0; x < g->width; x++) g->line[x * SIXTEEN + r] = from[(int64_t)(y + r) * g->width + x];
        for (int i = 0; i < g->to_width; i++) {
            uint8_t results[SIXTEEN];
            weigh(g->line + across->first[i] * SIXTEEN, SIXTEEN, across->weights + i * across->most, across->count[i],
                  results);
            for (int r = 0; r < rows; r++) to[(int64_t)(y + r) * g->to_width + i] = results[r];
        }
    }
}

/* Resize the columns of a picture. from: (g->height, width), to: (g->to_height, width). */
INLINE void resize_down(const Grey *g, const uint8_t *from, int width, uint8_t *to, Weigh *weigh) {
    const Weights *down = &g->down;
    for (int i = 0; i < g->to_height; i++, to += width) {
        const uint8_t *first = from + (int64_t)down->first[i] * width;
        const int32_t *weights = down->weights + i * down->most;
        int x = 0;
        for (; x + SIXTEEN <= width; x += SIXTEEN) weigh(first + x, width, weights, down->count[i], to + x);
        for (; x < width; x++) to[x] = weigh_one(first + x, width, weights, down->count[i]);
    }
}

/* Return whether columns are resized first. */
static int is_tall(const Grey *g) {
    return g->height > g->to_height && g->height - g->to_height > 2 * (g->width - g->to_width);
}

INLINE void resize(const Grey *g, uint8_t *to, Weigh *weigh) {
    if (is_tall(g)) {
        resize_down(g, g->pixels, g->width, g->middle, weigh);
        resize_across(g, g->middle, g->to_height, to, weigh);
    } else {
        resize_across(g, g->pixels, g->height, g->middle, weigh);
        resize_down(g, g->middle, g->to_width, to, weigh);
    }
}

/* ---- Versions ---- */

typedef void Crop(const Picture *p, const Square *s, int side, float scale, float offset, Scratch *scratch, float *to);
typedef void Resize(const Grey *g, uint8_t *to);

static void crop_plain(const Picture *p, const Square *s, int side, float scale, float offset, Scratch *scratch,
                       float *to) {
    crop(p, s, side, scale, offset, scratch, to, weigh_plain);
}

static void resize_plain(const Grey *g, uint8_t *to) { resize(g, to, weigh_plain); }

#ifdef TARGET_AVX2
TARGET_AVX2 static void crop_avx2(const Picture *p, const Square *s, int side, float scale, float offset,
                                  Scratch *scratch, float *to) {
    crop(p, s, side, scale, offset, scratch, to, weigh_avx2);
}

TARGET_AVX2 static void resize_avx2(const Grey *g, uint8_t *to) { resize(g, to, weigh_avx2); }
#endif

static Crop *chosen_crop = crop_plain; /* `use_crop_loops` chooses others */
static Resize *chosen_resize = resize_plain;

int use_crop_loops(const char *name) {
    if (*name && strcmp(name, "plain")) return -1;
    chosen_crop = crop_plain, chosen_resize = resize_plain;
#ifdef TARGET_AVX2
    __builtin_cpu_init();
    if (!*name && __builtin_cpu_supports("avx2")) chosen_crop = crop_avx2, chosen_resize = resize_avx2;
#endif
    return chosen_crop == crop_plain;
}

/* ---- All squares ---- */

/* Find the median colour of the outermost pixels; the corners count twice. */
static void find_border(Picture *p) {
    const int64_t width = p->width, height = p->height, half = width + height;
    for (int c = 0; c < CHANNELS; c++) {
        int64_t counts[UINT8_MAX + 1] = {0}, below = 0;
        int value = 0, first = -1;
        for (int64_t x = 0; x < width; x++) {
            counts[p->pixels[x * CHANNELS + c]]++;
            counts[p->pixels[((height - 1) * width + x) * CHANNELS + c]]++;
        }
        for (int64_t y = 0; y < height; y++) {
            counts[p->pixels[y * width * CHANNELS + c]]++;
            counts[p->pixels[(y * width + width - 1) * CHANNELS + c]]++;
        }
        for (;; value++) {
            below += counts[value];
            if (first < 0 && below >= half) first = value;
            if (below > half) break;
        }
        p->border[c] = (uint8_t)((first + value) / 2); /* the two in the middle */
    }
}

/* Read a square from box (4,) and place (4,). Return whether it lies on its canvas and is not shrunk too much. */
static int read_square(const Picture *p, const float *box, const int32_t *place, int side, Square *s) {
    *s = (Square){box[0], box[1], box[2], box[3], place[0], place[1], place[2], place[3]};
    const float most = (float)(MAX_SHRINKING * side);
    return s->width > 0 && s->height > 0 && s->width <= MAX_CANVAS && s->height <= MAX_CANVAS && s->left >= 0 &&
           s->top >= 0 && s->left < s->right && s->top < s->bottom && s->right <= (float)s->width &&
           s->bottom <= (float)s->height && s->right - s->left <= most && s->bottom - s->top <= most &&
           (s->width == s->height || (s->width == p->width && s->height == p->height && !s->x && !s->y)) &&
           s->x >= -MAX_CANVAS && s->x <= MAX_CANVAS && s->y >= -MAX_CANVAS && s->y <= MAX_CANVAS;
}

/* Allocate the memory for squares that `read_square` accepts, for `free_scratch`; return whether there is enough. */
static int make_scratch(int side, Scratch *scratch) {
    const size_t most = (size_t)(MAX_SHRINKING * (side + 2) + 2 * ROWS);
    scratch->line = calloc(most, ROWS * PIXEL);
    scratch->rows = malloc(CHANNELS * most * (size_t)side);
    scratch->narrow = malloc(CHANNELS * most * (size_t)side);
    scratch->across.first = scratch->down.first = NULL;
    const int taps = 2 * MAX_SHRINKING + 1;
    return scratch->line && scratch->rows && scratch->narrow && allocate_weights(side, taps, &scratch->across) &&
           allocate_weights(side, taps, &scratch->down);
}

static void free_scratch(Scratch *scratch) {
    free(scratch->line);
    free(scratch->rows);
    free(scratch->narrow);
    free_weights(&scratch->across);
    free_weights(&scratch->down);
    free(scratch);
}

int crop_squares(const uint8_t *pixels, int width, int height, const float *boxes, const int32_t *places,
                 int64_t count, int side, float scale, float offset, float *to) {
    if (width < 1 || height < 1 || width > MAX_CANVAS || height > MAX_CANVAS || side < 1 || side > MAX_SIDE) return 0;
    Picture picture = {.pixels = pixels, .width = width, .height = height};
    Scratch *scratch = malloc(sizeof *scratch);
    int state = scratch ? 1 : -1;
    if (scratch && !make_scratch(side, scratch)) state = -1;
    if (state > 0) find_border(&picture);
    for (int64_t i = 0; i < count && state > 0; i++) {
        Square square;
        state = read_square(&picture, boxes + i * BOX, places + i * PLACE, side, &square);
        if (state > 0) chosen_crop(&picture, &square, side, scale, offset, scratch, to + i * CHANNELS * side * side);
    }
    if (scratch) free_scratch(scratch);
    return state;
}

/* ---- All grey pictures ---- */

/* Return the most pixels that weigh in a result. */
static int count_taps(int size, int to_size, enum Filter filter) {
    const double scale = (double)size / to_size;
    return 2 * (int)ceil(FILTERS[filter].reach * (scale > 1 ? scale : 1)) + 1;
}

int resize_grey(const uint8_t *pixels, int width, int height, enum Filter filter, int to_width, int to_height,
                uint8_t *to) {
    if (width < 1 || height < 1 || width > MAX_CANVAS || height > MAX_CANVAS || to_width < 1 || to_height < 1 ||
        to_width > MAX_SIDE || to_height > MAX_SIDE || width > MAX_SHRINKING * to_width ||
        height > MAX_SHRINKING * to_height)
        return 0;
    Grey g = {.pixels = pixels, .width = width, .height = height, .to_width = to_width, .to_height = to_height};
    g.line = calloc((size_t)width, SIXTEEN);
    g.middle = is_tall(&g) ? malloc((size_t)to_height * (size_t)width) : malloc((size_t)height * (size_t)to_width);
    const int fits = allocate_weights(to_width, count_taps(width, to_width, filter), &g.across) &&
                     allocate_weights(to_height, count_taps(height, to_height, filter), &g.down) && g.line && g.middle;
    if (fits) {
        make_weights(0, (float)width, width, to_width, filter, &g.across);
        make_weights(0, (float)height, height, to_height, filter, &g.down);
        chosen_resize(&g, to);
    }
    free(g.line);
    free(g.middle);
    free_weights(&g.across);
    free_weights(&g.down);
    return fits ? 1 : -1;
}
