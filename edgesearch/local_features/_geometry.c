/* Pairs of keypoints that agree on one affine map. `geometry.py` holds the numpy twin, which is the specification: the
 * steps have the same names there.
 *
 * Shapes: P pairs; keypoints are (P, 4): x, y, sigma, direction in turns.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PAIRS = 1024, LEAST_PAIRS = 4, TRIED = 3, FITS = 3 };
static const double TURN = 6.28318530717958648;
static const double COARSE = 0.15, TOLERANCES[FITS] = {0.08, 0.04, 0.04};
static const double SCALE_TOLERANCE = 1, TURN_TOLERANCE = 0.15;
static const double LEAST_SCALE = 0.05, MOST_SCALE = 20, MOST_STRETCH = 4;
static const float CLOSE = 0.004f;

typedef struct {
    double x, y, from_x, from_y; /* in the photo, in the reference */
    double octaves, turns;       /* from the reference to the photo */
    double real, imaginary;      /* of the pair's own similarity */
} Pair;

static double turned(double turns) { return fabs(turns - rint(turns)); }

static int supports(const Pair *one, const Pair *other) {
    const double x = other->from_x - one->from_x, y = other->from_y - one->from_y;
    const double off_x = one->real * x - one->imaginary * y - (other->x - one->x);
    const double off_y = one->real * y + one->imaginary * x - (other->y - one->y);
    const double limit = COARSE * COARSE * (one->real * one->real + one->imaginary * one->imaginary);
    return off_x * off_x + off_y * off_y < limit && fabs(one->octaves - other->octaves) < SCALE_TOLERANCE &&
           turned(one->turns - other->turns) < TURN_TOLERANCE;
}

/* Least squares of the pairs that are inside; affine: (2, 3). Returns whether a camera could see it so. */
static int fit(const Pair *pairs, int count, const uint8_t *inside, double affine[6]) {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0, to[2] = {0}, x_to[2] = {0}, y_to[2] = {0};
    for (int i = 0; i < count; i++) {
        if (!inside[i]) continue;
        const double u = pairs[i].from_x, v = pairs[i].from_y, at[2] = {pairs[i].x, pairs[i].y};
        n++, x += u, y += v, xx += u * u, xy += u * v, yy += v * v;
        for (int k = 0; k < 2; k++) to[k] += at[k], x_to[k] += u * at[k], y_to[k] += v * at[k];
    }
    if (n < LEAST_PAIRS) return 0;
    /* inverse of the symmetric matrix (xx xy x; xy yy y; x y n), by cofactors */
    const double a = yy * n - y * y, b = x * y - xy * n, c = xy * y - x * yy;
    const double d = xx * n - x * x, e = xy * x - xx * y, f = xx * yy - xy * xy;
    const double determinant = xx * a + xy * b + x * c;
    if (determinant < 1e-9) return 0;
    for (int k = 0; k < 2; k++) {
        affine[3 * k] = (a * x_to[k] + b * y_to[k] + c * to[k]) / determinant;
        affine[3 * k + 1] = (b * x_to[k] + d * y_to[k] + e * to[k]) / determinant;
        affine[3 * k + 2] = (c * x_to[k] + e * y_to[k] + f * to[k]) / determinant;
    }
    const double *m = affine, area = m[0] * m[4] - m[1] * m[3]; /* below 0: mirrored */
    const double squares = m[0] * m[0] + m[1] * m[1] + m[3] * m[3] + m[4] * m[4];
    return area > LEAST_SCALE * LEAST_SCALE && area < MOST_SCALE * MOST_SCALE &&
           squares <= (MOST_STRETCH + 1 / MOST_STRETCH) * area;
}

static void mark_inside(const Pair *pairs, int count, const double *m, double tolerance, uint8_t *inside) {
    const double area = m[0] * m[4] - m[1] * m[3], octaves = log2(area) / 2;
    const double turns = atan2(m[3] - m[1], m[0] + m[4]) / TURN;
    for (int i = 0; i < count; i++) {
        const Pair *p = &pairs[i];
        const double x = m[0] * p->from_x + m[1] * p->from_y + m[2] - p->x;
        const double y = m[3] * p->from_x + m[4] * p->from_y + m[5] - p->y;
        inside[i] = x * x + y * y < tolerance * tolerance * area && fabs(p->octaves - octaves) < SCALE_TOLERANCE &&
                    turned(p->turns - turns) < TURN_TOLERANCE;
    }
}

/* How many places of the reference are inside, those counted once that are close to one before. */
static int places(const float *reference, int count, const uint8_t *inside) {
    int found = 0;
    for (int i = 0; i < count; i++) {
        int seen = !inside[i];
        for (int j = 0; j < i && !seen; j++)
            seen = inside[j] && fabsf(reference[4 * i] - reference[4 * j]) < CLOSE &&
                   fabsf(reference[4 * i + 1] - reference[4 * j + 1]) < CLOSE;
        found += !seen;
    }
    return found;
}

/* Returns how many places agree and fills in the map; 0 leaves it as it was. */
static int agree(const float *photo, const float *reference, int count, Pair *pairs, double best_affine[6]) {
    uint8_t inside[MOST_PAIRS];
    int support[MOST_PAIRS], best = 0;
    for (int i = 0; i < count; i++) {
        const float *p = photo + 4 * i, *r = reference + 4 * i;
        Pair *pair = &pairs[i];
        *pair = (Pair){.x = p[0], .y = p[1], .from_x = r[0], .from_y = r[1]};
        pair->octaves = log2((double)(p[2] / r[2])), pair->turns = (double)p[3] - (double)r[3];
        pair->real = exp2(pair->octaves) * cos(TURN * pair->turns);
        pair->imaginary = exp2(pair->octaves) * sin(TURN * pair->turns);
    }
    for (int i = 0; i < count; i++) {
        support[i] = 0;
        for (int j = 0; j < count; j++) support[i] += supports(&pairs[i], &pairs[j]);
    }
    for (int attempt = 0; attempt < TRIED && count >= LEAST_PAIRS; attempt++) {
        int first = 0, fits = 0;
        double affine[6];
        for (int i = 1; i < count; i++)
            if (support[i] > support[first]) first = i;
        support[first] = -1;
        for (int j = 0; j < count; j++) inside[j] = (uint8_t)supports(&pairs[first], &pairs[j]);
        while (fits < FITS && fit(pairs, count, inside, affine))
            mark_inside(pairs, count, affine, TOLERANCES[fits++], inside);
        if (fits < FITS) continue;
        const int found = places(reference, count, inside);
        if (found >= LEAST_PAIRS && found > best) {
            best = found;
            memcpy(best_affine, affine, sizeof affine);
        }
    }
    return best;
}

/* One bit for each place of the reference at which a map shows a keypoint of the photo: bits: (count, words), lowest
 * first. */
static void explain(const float *photo, int64_t count, const float *reference, int64_t size, const double *m,
                    double tolerance, uint32_t *bits, int64_t words) {
    const double area = m[0] * m[4] - m[1] * m[3], octaves = log2(area) / 2, scale = exp2(octaves);
    const double turns = atan2(m[3] - m[1], m[0] + m[4]) / TURN, least = exp2(-SCALE_TOLERANCE), most = 1 / least;
    memset(bits, 0, (size_t)(count * words) * sizeof *bits);
    for (int64_t j = 0; j < size; j++) {
        const float *r = reference + 4 * j;
        const double x = m[0] * r[0] + m[1] * r[1] + m[2], y = m[3] * r[0] + m[4] * r[1] + m[5];
        for (int64_t i = 0; i < count; i++) {
            const float *p = photo + 4 * i;
            const double off_x = x - p[0], off_y = y - p[1], scaled = p[2] / (r[2] * scale);
            if (off_x * off_x + off_y * off_y < tolerance * tolerance * area && scaled > least && scaled < most &&
                turned((double)p[3] - (double)r[3] - turns) < TURN_TOLERANCE)
                bits[i * words + j / 32] |= (uint32_t)1 << j % 32;
        }
    }
}

/* ---- Python ---- */

PyDoc_STRVAR(agree_doc, "agree(photo, reference, out_affine) -> int\n\n"
                        "As geometry.agree. Raises ValueError: sizes that do not fit.");

static PyObject *agree_in(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer photo, reference, affine;
    if (!PyArg_ParseTuple(args, "y*y*w*:agree", &photo, &reference, &affine)) return NULL;
    const Py_ssize_t row = 4 * sizeof(float), count = photo.len / row;
    int found = -1;
    if (photo.len == reference.len && photo.len == count * row && count <= MOST_PAIRS &&
        affine.len == 6 * sizeof(double)) {
        Pair *pairs = malloc(MOST_PAIRS * sizeof *pairs);
        Py_BEGIN_ALLOW_THREADS
        found = pairs ? agree(photo.buf, reference.buf, (int)count, pairs, affine.buf) : -2;
        Py_END_ALLOW_THREADS
        free(pairs);
    }
    PyBuffer_Release(&photo);
    PyBuffer_Release(&reference);
    PyBuffer_Release(&affine);
    if (found == -1) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together");
    return found < 0 ? PyErr_NoMemory() : PyLong_FromLong(found);
}

PyDoc_STRVAR(explain_doc, "explain(photo, reference, affine, tolerance, out_bits)\n\n"
                          "As geometry.explained. Raises ValueError: sizes that do not fit.");

static PyObject *explain_in(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer photo, reference, affine, bits;
    double tolerance;
    if (!PyArg_ParseTuple(args, "y*y*y*dw*:explain", &photo, &reference, &affine, &tolerance, &bits)) return NULL;
    const int64_t row = 4 * sizeof(float), count = photo.len / row, size = reference.len / row, words = (size + 31) / 32;
    const double *m = affine.buf;
    const int fits = photo.len == count * row && reference.len == size * row && affine.len == 6 * sizeof(double) &&
                     bits.len == count * words * (int64_t)sizeof(uint32_t) && m[0] * m[4] - m[1] * m[3] > 0;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        explain(photo.buf, count, reference.buf, size, m, tolerance, bits.buf, words);
        Py_END_ALLOW_THREADS
    }
    Py_buffer *const all[] = {&photo, &reference, &affine, &bits};
    for (int i = 0; i < 4; i++) PyBuffer_Release(all[i]);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together, or the map mirrors");
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"agree", agree_in, METH_VARARGS, agree_doc},
    {"explain", explain_in, METH_VARARGS, explain_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_geometry", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__geometry(void) { return PyModuleDef_Init(&definition); }
