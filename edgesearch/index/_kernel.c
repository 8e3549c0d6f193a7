/* Offer `kernel.c` to Python. */

#include "../_util/arrays.h"
#include "kernel.h"

enum {
    QUERIES, ROTATION, CODEBOOK, CENTERS, STARTS, PACKED, VECTORS, ROWS, ALLOWED, /* read */
    OUT_ROWS, OUT_SCORES,                                                       /* written */
    SEARCH_ARRAYS
};

static const ArrayType SEARCH_TYPES[SEARCH_ARRAYS] = {
    {"queries", FLOAT32, READ},  {"rotation", FLOAT32, READ},    {"codebook", FLOAT32, READ},
    {"centers", INT8, READ},     {"starts", UINT32, READ},       {"packed", UINT8, READ},
    {"vectors", INT8, READ},     {"rows", INT32, READ},          {"allowed", UINT32, READ},
    {"out_rows", INT32, WRITE},  {"out_scores", FLOAT32, WRITE},
};

/* The arguments of `search`. */
typedef struct {
    Py_buffer arrays[SEARCH_ARRAYS];
    int dim, subquantizers, rescored;
    long long probes, shortlist, k;
    int64_t queries;
} Call;

/* Fill in the index and the number of queries. Return the name of an argument that does not fit the others, NULL if all
 * fit. */
static const char *find_misfit(Call *call, Index *index) {
    const Py_buffer *a = call->arrays;
    const int64_t d = call->dim, m = call->subquantizers, k = call->k, word = 4; /* bytes of a float or an int32 */
    if (d < 1 || d > MAX_DIM || m < 2 || m > MAX_SUBQUANTIZERS || m % 2 || d % m) return "dim, subquantizers";
    const int64_t blocks = a[ROWS].len / (BLOCK * word), cells = a[STARTS].len / word - 1;
    const int64_t queries = call->queries = a[QUERIES].len / (d * word);
    if (blocks < 1 || blocks > UINT32_MAX / BLOCK || cells < 1) return "rows, starts";
    if (call->probes < 1 || call->probes > cells) return "probes";
    if (k < 1 || call->shortlist < k || call->shortlist > blocks * BLOCK) return "k, shortlist";
    const int64_t expected[SEARCH_ARRAYS] = {
        [QUERIES] = queries * d * word,     [ROTATION] = d * d * word,
        [CODEBOOK] = CODEWORDS * d * word,  [CENTERS] = cells * d,
        [STARTS] = (cells + 1) * word,      [PACKED] = blocks * BLOCK * m / 2,
        [VECTORS] = call->rescored || a[VECTORS].len ? blocks * BLOCK * d : 0,
        [ROWS] = blocks * BLOCK * word,
        [ALLOWED] = a[ALLOWED].len ? blocks * word : 0,
        [OUT_ROWS] = queries * k * word,    [OUT_SCORES] = queries * k * word,
    };
    for (int i = 0; i < SEARCH_ARRAYS; i++)
        if (a[i].len != expected[i]) return SEARCH_TYPES[i].name;
    const uint32_t *starts = a[STARTS].buf;
    if (starts[0] != 0 || starts[cells] != blocks) return "starts";
    for (int64_t c = 0; c < cells; c++)
        if (starts[c] > starts[c + 1]) return "starts";
    *index = (Index){
        .dim = call->dim, .subquantizers = call->subquantizers, .cells = cells, .blocks = blocks,
        .rotation = a[ROTATION].buf, .codebook = a[CODEBOOK].buf, .centers = a[CENTERS].buf, .starts = starts,
        .packed = a[PACKED].buf, .vectors = a[VECTORS].buf, .rows = a[ROWS].buf,
        .allowed = a[ALLOWED].len ? a[ALLOWED].buf : NULL,
    };
    return NULL;
}

/* Answer the queries of a call; return None, or NULL and set the error. */
static PyObject *answer_call(Call *call) {
    Index index;
    int found;
    const char *misfit = find_misfit(call, &index);
    if (misfit) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together: %s", misfit);
    const Py_buffer *a = call->arrays;
    Py_BEGIN_ALLOW_THREADS
    found = search_index(&index, a[QUERIES].buf, call->queries, call->probes, call->shortlist, call->rescored, call->k,
                         a[OUT_ROWS].buf, a[OUT_SCORES].buf);
    Py_END_ALLOW_THREADS
    if (!found) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

PyDoc_STRVAR(search_doc,
             "search(queries, rotation, codebook, centers, starts, packed, vectors, rows, allowed, out_rows, out_scores,\n"
             "       dim, subquantizers, probes, shortlist, k, rescored)\n\n"
             "Do what kernel.search does. `allowed` may be empty; so may `vectors` if `rescored` is false. Raise\n"
             "ValueError if types or sizes do not fit.");

static PyObject *search(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *o[SEARCH_ARRAYS];
    Call call;
    if (!PyArg_ParseTuple(args, "OOOOOOOOOOOiiLLLp:search", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], &o[6], &o[7],
                          &o[8], &o[9], &o[10], &call.dim, &call.subquantizers, &call.probes, &call.shortlist,
                          &call.k, &call.rescored))
        return NULL;
    if (!get_arrays(o, SEARCH_TYPES, SEARCH_ARRAYS, call.arrays)) return NULL;
    PyObject *answered = answer_call(&call);
    release_arrays(call.arrays, SEARCH_ARRAYS);
    return answered;
}

/* Release the arrays of a call; return None, or NULL and set ValueError if they do not fit together. */
static PyObject *finish_call(Py_buffer *arrays, int count, int fits) {
    release_arrays(arrays, count);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays do not fit together");
    Py_RETURN_NONE;
}

enum { LEVELS, MATCH_PACKED, MATCH_ALLOWED, MATCH_ROWS, MATCH_SUMS, MATCH_ARRAYS };

static const ArrayType MATCH_TYPES[MATCH_ARRAYS] = {
    {"levels", UINT8, READ},    {"packed", UINT8, READ},     {"allowed", UINT32, READ},
    {"out_rows", INT32, WRITE}, {"out_sums", UINT16, WRITE},
};

PyDoc_STRVAR(match_doc, "match(levels, packed, allowed, out_rows, out_sums, subquantizers, count)\n\n"
                        "Do what kernel.match does. `allowed` may be empty. Raise ValueError if types or sizes do not\n"
                        "fit.");

static PyObject *match(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *o[MATCH_ARRAYS];
    Py_buffer a[MATCH_ARRAYS];
    int m;
    long long count;
    if (!PyArg_ParseTuple(args, "OOOOOiL:match", &o[0], &o[1], &o[2], &o[3], &o[4], &m, &count)) return NULL;
    if (!get_arrays(o, MATCH_TYPES, MATCH_ARRAYS, a)) return NULL;
    const int64_t queries = a[MATCH_ROWS].len / (int64_t)sizeof(int32_t), blocks = (count + BLOCK - 1) / BLOCK;
    const int fits = m > 1 && m <= MAX_SUBQUANTIZERS && m % 2 == 0 && a[LEVELS].len == queries * m * CODEWORDS &&
                     a[MATCH_SUMS].len == a[MATCH_ROWS].len && count >= 0 && count <= INT32_MAX &&
                     a[MATCH_PACKED].len == blocks * BLOCK * m / 2 &&
                     (!a[MATCH_ALLOWED].len || a[MATCH_ALLOWED].len == queries * blocks * (int64_t)sizeof(uint32_t));
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        match_codes(a[LEVELS].buf, queries, a[MATCH_PACKED].buf, m, count,
                    a[MATCH_ALLOWED].len ? a[MATCH_ALLOWED].buf : NULL, a[MATCH_ROWS].buf, a[MATCH_SUMS].buf);
        Py_END_ALLOW_THREADS
    }
    return finish_call(a, MATCH_ARRAYS, fits);
}

enum { POSTINGS, FIRST, LAST, WEIGHTS, SCORES, VOTE_ARRAYS };

static const ArrayType VOTE_TYPES[VOTE_ARRAYS] = {
    {"postings", UINT16, READ}, {"first", INT64, READ},    {"last", INT64, READ},
    {"weights", FLOAT32, READ}, {"scores", FLOAT32, WRITE},
};

PyDoc_STRVAR(vote_doc, "vote(postings, first, last, weights, scores)\n\n"
                       "Do what kernel.vote does. Raise ValueError if types, sizes or numbers do not fit; `scores`\n"
                       "then stay as they were.");

static PyObject *vote(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *o[VOTE_ARRAYS];
    Py_buffer a[VOTE_ARRAYS];
    if (!PyArg_ParseTuple(args, "OOOOO:vote", &o[0], &o[1], &o[2], &o[3], &o[4])) return NULL;
    if (!get_arrays(o, VOTE_TYPES, VOTE_ARRAYS, a)) return NULL;
    const Postings postings = {
        .numbers = a[POSTINGS].buf, .count = a[POSTINGS].len / (int64_t)sizeof(uint16_t),
        .words = a[WEIGHTS].len / (int64_t)sizeof(float), .first = a[FIRST].buf, .last = a[LAST].buf,
        .weights = a[WEIGHTS].buf,
    };
    const int64_t size = a[SCORES].len / (int64_t)sizeof(float), bytes = postings.words * (int64_t)sizeof(int64_t);
    int fits = a[FIRST].len == bytes && a[LAST].len == bytes;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        fits = postings_fit(&postings, size);
        if (fits) add_votes(&postings, a[SCORES].buf);
        Py_END_ALLOW_THREADS
    }
    return finish_call(a, VOTE_ARRAYS, fits);
}

/* Read a codebook of `parts` parts from arrays of `codewords` and `squares`; return whether they fit together. */
static int read_codebook(const Py_buffer *codewords, const Py_buffer *squares, int parts, Codebook *book) {
    const int64_t word = sizeof(float), numbers = codewords->len / word, words = squares->len / word;
    if (parts < 1 || parts > MAX_SUBQUANTIZERS || words < 1 || words % parts || words / parts % CODEWORDS ||
        words / parts > UINT8_MAX + 1 || numbers % words || numbers / words < 1 || numbers / words * parts > MAX_DIM)
        return 0;
    *book = (Codebook){.parts = parts, .dim = (int)(numbers / words), .words = (int)(words / parts),
                       .codewords = codewords->buf, .squares = squares->buf};
    return codewords->len == numbers * word && squares->len == words * word;
}

PyDoc_STRVAR(encode_doc, "encode(x, codewords, squares, out_codes, parts)\n\n"
                         "Do what kernel.encode does. Raise ValueError if types or sizes do not fit.");

static PyObject *encode_call(PyObject *Py_UNUSED(module), PyObject *args) {
    enum { X, CODEWORDS_IN, SQUARES, OUT_CODES, ARRAYS };
    static const ArrayType types[ARRAYS] = {
        {"x", FLOAT32, READ}, {"codewords", FLOAT32, READ}, {"squares", FLOAT32, READ}, {"out_codes", UINT8, WRITE}};
    PyObject *o[ARRAYS];
    Py_buffer a[ARRAYS];
    Codebook book;
    int parts;
    if (!PyArg_ParseTuple(args, "OOOOi:encode", &o[0], &o[1], &o[2], &o[3], &parts)) return NULL;
    if (!get_arrays(o, types, ARRAYS, a)) return NULL;
    int fits = read_codebook(&a[CODEWORDS_IN], &a[SQUARES], parts, &book);
    const int64_t dim = fits ? book.parts * book.dim : 1, rows = a[X].len / (dim * (int64_t)sizeof(float));
    fits = fits && a[X].len == rows * dim * (int64_t)sizeof(float) && a[OUT_CODES].len == rows * parts;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        encode_rows(&book, a[X].buf, rows, a[OUT_CODES].buf);
        Py_END_ALLOW_THREADS
    }
    return finish_call(a, ARRAYS, fits);
}

PyDoc_STRVAR(quantize_products_doc,
             "quantize_products(x, codewords, squares, out_levels, out_lows, out_steps, parts)\n\n"
             "Do what kernel.quantize_products does. Raise ValueError if types or sizes do not fit.");

static PyObject *quantize_products_call(PyObject *Py_UNUSED(module), PyObject *args) {
    enum { X, CODEWORDS_IN, SQUARES, OUT_LEVELS, OUT_LOWS, OUT_STEPS, ARRAYS };
    static const ArrayType types[ARRAYS] = {
        {"x", FLOAT32, READ},          {"codewords", FLOAT32, READ}, {"squares", FLOAT32, READ},
        {"out_levels", UINT8, WRITE}, {"out_lows", FLOAT32, WRITE}, {"out_steps", FLOAT32, WRITE}};
    PyObject *o[ARRAYS];
    Py_buffer a[ARRAYS];
    Codebook book;
    int parts;
    if (!PyArg_ParseTuple(args, "OOOOOOi:quantize_products", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], &parts))
        return NULL;
    if (!get_arrays(o, types, ARRAYS, a)) return NULL;
    const int64_t word = sizeof(float), rows = a[OUT_STEPS].len / word;
    const int fits = read_codebook(&a[CODEWORDS_IN], &a[SQUARES], parts, &book) && book.words == CODEWORDS &&
                     a[X].len == rows * parts * book.dim * word && a[OUT_LOWS].len == rows * parts * word &&
                     a[OUT_LEVELS].len == rows * parts * CODEWORDS;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        quantize_rows(&book, a[X].buf, rows, a[OUT_LEVELS].buf, a[OUT_LOWS].buf, a[OUT_STEPS].buf);
        Py_END_ALLOW_THREADS
    }
    return finish_call(a, ARRAYS, fits);
}

PyDoc_STRVAR(use_doc, "use(name)\n\n"
                      "Choose the \"plain\" loops, or for \"\" the processor's fastest. Return the name of the chosen\n"
                      "loops. Raise ValueError for another name.");

static PyObject *use(PyObject *Py_UNUSED(module), PyObject *args) {
    const char *name, *chosen;
    if (!PyArg_ParseTuple(args, "s:use", &name)) return NULL;
    chosen = use_loops(name);
    return chosen ? PyUnicode_FromString(chosen) : PyErr_Format(PyExc_ValueError, "no loops have the name %s", name);
}

static PyMethodDef methods[] = {
    {"search", search, METH_VARARGS, search_doc},
    {"match", match, METH_VARARGS, match_doc},
    {"vote", vote, METH_VARARGS, vote_doc},
    {"encode", encode_call, METH_VARARGS, encode_doc},
    {"quantize_products", quantize_products_call, METH_VARARGS, quantize_products_doc},
    {"use", use, METH_VARARGS, use_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_kernel", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__kernel(void) {
    use_loops("");
    return PyModuleDef_Init(&definition);
}
