/* Offer `geometry.c` to Python. */

#include "../_util/arrays.h"
#include "geometry.h"

enum { ROW_BYTES = 4 * sizeof(float), AFFINE_BYTES = 6 * sizeof(double) };

PyDoc_STRVAR(fit_affine_doc, "fit_affine(photo, reference, out_affine) -> int\n\n"
                             "Do what geometry.fit_affine does. Raise ValueError if types or sizes do not fit.");

static PyObject *fit_affine_call(PyObject *Py_UNUSED(module), PyObject *args) {
    enum { PHOTO, REFERENCE, OUT_AFFINE, ARRAYS };
    static const ArrayType types[ARRAYS] = {
        {"photo", FLOAT32, READ}, {"reference", FLOAT32, READ}, {"out_affine", FLOAT64, WRITE}};
    PyObject *o[ARRAYS];
    Py_buffer a[ARRAYS];
    if (!PyArg_ParseTuple(args, "OOO:fit_affine", &o[0], &o[1], &o[2])) return NULL;
    if (!get_arrays(o, types, ARRAYS, a)) return NULL;
    const Py_ssize_t count = a[PHOTO].len / ROW_BYTES;
    const int fits = a[PHOTO].len == count * ROW_BYTES && a[REFERENCE].len == a[PHOTO].len && count <= MAX_PAIRS &&
                     a[OUT_AFFINE].len == AFFINE_BYTES;
    int found = 0;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        found = fit_affine(a[PHOTO].buf, a[REFERENCE].buf, (int)count, a[OUT_AFFINE].buf);
        Py_END_ALLOW_THREADS
    }
    release_arrays(a, ARRAYS);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together");
    return found < 0 ? PyErr_NoMemory() : PyLong_FromLong(found);
}

PyDoc_STRVAR(fit_matches_doc, "fit_matches(photo, nearest, distances, reference, levels, out_affine) -> int\n\n"
                              "Do what geometry.fit_matches does. levels: (256, 4) float32, what the bytes of\n"
                              "`reference` stand for. Raise ValueError if types, sizes or numbers do not fit.");

static PyObject *fit_matches_call(PyObject *Py_UNUSED(module), PyObject *args) {
    enum { PHOTO, NEAREST, DISTANCES, REFERENCE, LEVELS, OUT_AFFINE, ARRAYS };
    static const ArrayType types[ARRAYS] = {{"photo", FLOAT32, READ},    {"nearest", INT32, READ},
                                            {"distances", FLOAT32, READ}, {"reference", UINT8, READ},
                                            {"levels", FLOAT32, READ},   {"out_affine", FLOAT64, WRITE}};
    PyObject *o[ARRAYS];
    Py_buffer a[ARRAYS];
    if (!PyArg_ParseTuple(args, "OOOOOO:fit_matches", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5])) return NULL;
    if (!get_arrays(o, types, ARRAYS, a)) return NULL;
    const int64_t count = a[PHOTO].len / ROW_BYTES, size = a[REFERENCE].len / 4;
    const int32_t *nearest = a[NEAREST].buf;
    int found = 0, fits = a[PHOTO].len == count * ROW_BYTES && a[NEAREST].len == count * (int64_t)sizeof *nearest &&
                          a[DISTANCES].len == count * 2 * (int64_t)sizeof(float) && a[REFERENCE].len == size * 4 &&
                          a[LEVELS].len == (UINT8_MAX + 1) * ROW_BYTES && a[OUT_AFFINE].len == AFFINE_BYTES &&
                          count <= INT32_MAX;
    for (int64_t i = 0; fits && i < count; i++) fits = nearest[i] >= 0 && nearest[i] < size;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        found = fit_matches(a[PHOTO].buf, count, nearest, a[DISTANCES].buf, a[REFERENCE].buf, size, a[LEVELS].buf,
                            a[OUT_AFFINE].buf);
        Py_END_ALLOW_THREADS
    }
    release_arrays(a, ARRAYS);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together");
    return found < 0 ? PyErr_NoMemory() : PyLong_FromLong(found);
}

PyDoc_STRVAR(find_consistent_pairs_doc,
             "find_consistent_pairs(photo, reference, affine, tolerance, out_bits)\n\n"
             "Do what geometry.find_consistent_pairs does. Raise ValueError if types or sizes do not fit.");

static PyObject *find_consistent_pairs_call(PyObject *Py_UNUSED(module), PyObject *args) {
    enum { PHOTO, REFERENCE, AFFINE, OUT_BITS, ARRAYS };
    static const ArrayType types[ARRAYS] = {
        {"photo", FLOAT32, READ}, {"reference", FLOAT32, READ}, {"affine", FLOAT64, READ}, {"out_bits", UINT32, WRITE}};
    PyObject *o[ARRAYS];
    Py_buffer a[ARRAYS];
    double tolerance;
    if (!PyArg_ParseTuple(args, "OOOdO:find_consistent_pairs", &o[0], &o[1], &o[2], &tolerance, &o[3])) return NULL;
    if (!get_arrays(o, types, ARRAYS, a)) return NULL;
    const int64_t count = a[PHOTO].len / ROW_BYTES, size = a[REFERENCE].len / ROW_BYTES, words = (size + 31) / 32;
    const double *m = a[AFFINE].buf;
    const int fits = a[PHOTO].len == count * ROW_BYTES && a[REFERENCE].len == size * ROW_BYTES &&
                     a[AFFINE].len == AFFINE_BYTES && a[OUT_BITS].len == count * words * (int64_t)sizeof(uint32_t) &&
                     m[0] * m[4] - m[1] * m[3] > 0;
    int found = 0;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        found = find_consistent_pairs(a[PHOTO].buf, count, a[REFERENCE].buf, size, m, tolerance, a[OUT_BITS].buf,
                                      words);
        Py_END_ALLOW_THREADS
    }
    release_arrays(a, ARRAYS);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together, or the map mirrors");
    if (!found) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"fit_affine", fit_affine_call, METH_VARARGS, fit_affine_doc},
    {"fit_matches", fit_matches_call, METH_VARARGS, fit_matches_doc},
    {"find_consistent_pairs", find_consistent_pairs_call, METH_VARARGS, find_consistent_pairs_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_geometry", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__geometry(void) { return PyModuleDef_Init(&definition); }
