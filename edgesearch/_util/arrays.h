/* What the bindings to Python share: checked access to the arrays of a call.
 *
 * A module reads and writes numpy arrays through Python's buffer protocol. `get_arrays` accepts an array only if it is
 * C-contiguous, holds items of the expected type in the machine's byte order, and is aligned to them. Each function
 * checks lengths and values itself.
 */

#ifndef EDGESEARCH_ARRAYS_H
#define EDGESEARCH_ARRAYS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "loops.h"

/* An expected array. The item types below fill in the three members after the name. */
typedef struct {
    const char *name;       /* for error messages */
    const char *type;       /* numpy's name of the items */
    const char *formats;    /* characters of Python's `struct` that stand for such items on some platform */
    Py_ssize_t item_bytes;  /* the array is aligned to as many bytes */
    enum { READ, WRITE } access;
} ArrayType;

#define INT8 "int8", "b", 1
#define UINT8 "uint8", "B", 1
#define UINT16 "uint16", "H", 2
#define INT32 "int32", "il", 4
#define UINT32 "uint32", "IL", 4
#define INT64 "int64", "lq", 8
#define FLOAT32 "float32", "f", 4
#define FLOAT64 "float64", "d", 8

static inline void release_arrays(Py_buffer *arrays, int count) {
    for (int i = 0; i < count; i++) PyBuffer_Release(&arrays[i]);
}

/* Return whether an array holds items of a type; set ValueError if it does not. */
static inline int has_type(const Py_buffer *array, const ArrayType *type) {
    const uint16_t one = 1;
    const char *const format = array->format ? array->format : "B", *item = format;
    const char native = *(const uint8_t *)&one ? '<' : '>';
    if (*item == '@' || *item == '=' || *item == native) item++;
    if (!*item || item[1] || !strchr(type->formats, *item) || array->itemsize != type->item_bytes) {
        PyErr_Format(PyExc_ValueError, "%s: items have the format '%s' and %zd bytes; expected %s", type->name, format,
                     array->itemsize, type->type);
        return 0;
    }
    if (array->len && (uintptr_t)array->buf % (uintptr_t)type->item_bytes) {
        PyErr_Format(PyExc_ValueError, "%s: the array is not aligned to its items of %zd bytes; pass a copy",
                     type->name, type->item_bytes);
        return 0;
    }
    return 1;
}

/* Get the arrays of a call; return whether all have their types. If not, hold none of them and set the error.
 * objects, types, arrays: (count,). Release the arrays with `release_arrays`. */
static inline int get_arrays(PyObject *const *objects, const ArrayType *types, int count, Py_buffer *arrays) {
    for (int i = 0; i < count; i++) {
        const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (types[i].access == WRITE ? PyBUF_WRITABLE : 0);
        int held = i;
        if (PyObject_GetBuffer(objects[i], &arrays[i], flags) == 0) {
            if (has_type(&arrays[i], &types[i])) continue;
            held++;
        }
        release_arrays(arrays, held);
        return 0;
    }
    return 1;
}

#endif
