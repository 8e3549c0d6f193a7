/* Offer `sift.c` to Python. */

#include "../_util/arrays.h"
#include "sift.h"

PyDoc_STRVAR(detect_doc, "detect(pixels, width, height, out_keypoints, out_descriptors) -> int\n\n"
                         "Do what sift.detect does. Return the number of features. Raise ValueError if types or sizes\n"
                         "do not fit.");

static PyObject *detect_call(PyObject *Py_UNUSED(module), PyObject *args) {
    enum { PIXELS, OUT_KEYPOINTS, OUT_DESCRIPTORS, ARRAYS };
    static const ArrayType types[ARRAYS] = {
        {"pixels", UINT8, READ}, {"out_keypoints", FLOAT32, WRITE}, {"out_descriptors", UINT8, WRITE}};
    PyObject *o[ARRAYS];
    Py_buffer a[ARRAYS];
    int width, height;
    if (!PyArg_ParseTuple(args, "OiiOO:detect", &o[0], &width, &height, &o[1], &o[2])) return NULL;
    if (!get_arrays(o, types, ARRAYS, a)) return NULL;
    const int64_t limit = a[OUT_DESCRIPTORS].len / DIM;
    const int fits = width > 0 && height > 0 && width <= MAX_PIXELS / height &&
                     a[PIXELS].len == (int64_t)width * height && a[OUT_DESCRIPTORS].len == limit * DIM &&
                     a[OUT_KEYPOINTS].len == limit * 4 * (int64_t)sizeof(float);
    int64_t n = 0;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        n = detect_features(a[PIXELS].buf, width, height, limit, a[OUT_KEYPOINTS].buf, a[OUT_DESCRIPTORS].buf);
        Py_END_ALLOW_THREADS
    }
    release_arrays(a, ARRAYS);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together, or the picture is too large");
    return n < 0 ? PyErr_NoMemory() : PyLong_FromLongLong(n);
}

static PyMethodDef methods[] = {{"detect", detect_call, METH_VARARGS, detect_doc}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_sift", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__sift(void) { return PyModuleDef_Init(&definition); }
