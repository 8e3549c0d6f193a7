/* Offer `resampling.c` to Python. */

#include "../_util/arrays.h"
#include "resampling.h"

PyDoc_STRVAR(crop_doc, "crop(pixels, width, height, boxes, places, out_values, side, scale, offset)\n\n"
                       "Do what network_input.crop_squares does. boxes: left, top, right and bottom of each square on\n"
                       "its canvas; places: x and y of the picture on the canvas, and the canvas's width and height.\n"
                       "Raise ValueError if types, sizes or numbers do not fit.");

static PyObject *crop_call(PyObject *Py_UNUSED(module), PyObject *args) {
    enum { PIXELS, BOXES, PLACES, OUT_VALUES, ARRAYS };
    static const ArrayType types[ARRAYS] = {
        {"pixels", UINT8, READ}, {"boxes", FLOAT32, READ}, {"places", INT32, READ}, {"out_values", FLOAT32, WRITE}};
    PyObject *o[ARRAYS];
    Py_buffer a[ARRAYS];
    int width, height, side;
    float scale, offset;
    if (!PyArg_ParseTuple(args, "OiiOOOiff:crop", &o[0], &width, &height, &o[1], &o[2], &o[3], &side, &scale, &offset))
        return NULL;
    if (!get_arrays(o, types, ARRAYS, a)) return NULL;
    const int64_t count = a[BOXES].len / (BOX * (int64_t)sizeof(float)), item = sizeof(float);
    int state = width > 0 && height > 0 && width <= MAX_CANVAS && height <= MAX_CANVAS && side > 0 &&
                side <= MAX_SIDE && a[PIXELS].len == (int64_t)width * height * CHANNELS &&
                a[BOXES].len == count * BOX * item && a[PLACES].len == count * PLACE * item &&
                a[OUT_VALUES].len == count * CHANNELS * side * side * item;
    if (state) {
        Py_BEGIN_ALLOW_THREADS
        state = crop_squares(a[PIXELS].buf, width, height, a[BOXES].buf, a[PLACES].buf, count, side, scale, offset,
                             a[OUT_VALUES].buf);
        Py_END_ALLOW_THREADS
    }
    release_arrays(a, ARRAYS);
    if (state < 0) return PyErr_NoMemory();
    if (!state) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together, or a square lies elsewhere");
    Py_RETURN_NONE;
}

PyDoc_STRVAR(resize_grey_doc, "resize_grey(pixels, width, height, filter, out_pixels, to_width, to_height)\n\n"
                              "Do what grey_resizing.resize does. filter: 1 is bicubic, 2 is Lanczos. Raise ValueError\n"
                              "if types, sizes or numbers do not fit.");

static PyObject *resize_grey_call(PyObject *Py_UNUSED(module), PyObject *args) {
    enum { PIXELS, OUT_PIXELS, ARRAYS };
    static const ArrayType types[ARRAYS] = {{"pixels", UINT8, READ}, {"out_pixels", UINT8, WRITE}};
    PyObject *o[ARRAYS];
    Py_buffer a[ARRAYS];
    int width, height, filter, to_width, to_height;
    if (!PyArg_ParseTuple(args, "OiiiOii:resize_grey", &o[0], &width, &height, &filter, &o[1], &to_width, &to_height))
        return NULL;
    if (!get_arrays(o, types, ARRAYS, a)) return NULL;
    int state = a[PIXELS].len == (int64_t)width * height && a[OUT_PIXELS].len == (int64_t)to_width * to_height &&
                (filter == BICUBIC || filter == LANCZOS);
    if (state) {
        Py_BEGIN_ALLOW_THREADS
        state = resize_grey(a[PIXELS].buf, width, height, filter, to_width, to_height, a[OUT_PIXELS].buf);
        Py_END_ALLOW_THREADS
    }
    release_arrays(a, ARRAYS);
    if (state < 0) return PyErr_NoMemory();
    if (!state) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together, or the picture shrinks too much");
    Py_RETURN_NONE;
}

PyDoc_STRVAR(use_doc, "use(name)\n\n"
                      "Choose the \"plain\" version, or for \"\" the processor's fastest. Return whether it is the\n"
                      "plain one. Raise ValueError for another name.");

static PyObject *use(PyObject *Py_UNUSED(module), PyObject *args) {
    const char *name;
    if (!PyArg_ParseTuple(args, "s:use", &name)) return NULL;
    const int is_plain = use_crop_loops(name);
    if (is_plain < 0) return PyErr_Format(PyExc_ValueError, "no version has the name %s", name);
    return PyBool_FromLong(is_plain);
}

static PyMethodDef methods[] = {
    {"crop", crop_call, METH_VARARGS, crop_doc},
    {"resize_grey", resize_grey_call, METH_VARARGS, resize_grey_doc},
    {"use", use, METH_VARARGS, use_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_resampling", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__resampling(void) {
    use_crop_loops("");
    return PyModuleDef_Init(&definition);
}
